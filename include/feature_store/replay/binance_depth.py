"""An order book around a price: invented, but the same whenever it is asked for of the same second."""

import json
import math
from itertools import accumulate
from random import Random

from feature_store.replay.binance_candles import UNIT, amount

MOST_LEVELS = 5000
"""On each side; who asks for more gets as many."""
REACH = 0.024
"""How far all levels of a side go, as a share of the price: a fifth of them does not reach 2 %."""
COARSEST_TICK = UNIT // 100
LEVEL_QUOTE = 8000
"""Mean value of a level, in quote coins."""
LOT = UNIT // 100_000
NOBODY = b'{"lastUpdateId":%d,"bids":[],"asks":[]}'


def book(symbol: str, price: int, now: int, levels: int) -> bytes:
    """The best `levels` of each side as Binance writes them, at `now` (ms); the best bid is the price, in 1e-8."""
    gap = REACH * price / MOST_LEVELS
    tick = min(COARSEST_TICK, 10 ** max(0, math.floor(math.log10(gap))))
    sides = []
    for side, best, way in (("bids", price, -1), ("asks", price + tick, 1)):
        draw = Random(f"{symbol}:{now // 1000}:{side}").random  # noqa: S311 - invented numbers, no secrets
        weigh = Random(f"{symbol}:{now // 1000}:{side}:quantities").random  # noqa: S311
        steps = (max(1, round(2 * gap * draw() / tick)) * tick for _ in range(levels - 1))
        prices = [best + way * distance for distance in accumulate(steps, initial=0)]
        mean = LEVEL_QUOTE * UNIT * UNIT / price
        sides.append([[amount(at), amount(int(mean * -math.log(1 - weigh())) // LOT * LOT + LOT)] for at in prices])
    said = {"lastUpdateId": now // 20, "bids": sides[0], "asks": sides[1]}
    return json.dumps(said, separators=(",", ":")).encode()
