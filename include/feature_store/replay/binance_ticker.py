"""The statistics of the last 24 hours, as of any instant, from the candles within them."""

from feature_store.replay.binance_candles import DAY, UNIT, Candle, Candles, amount, merged, step, unfinished

TICK = UNIT // 100
"""Between the best bid, which is the last price, and the best ask."""
MINI = (
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)
Ticker = dict[str, str | int]


def ticker(symbol: str, candles: Candles, now: int, mini: bool = False) -> Ticker:
    """What Binance says of the 24 hours before `now` (ms since 1970).

    A candle that began before them and ended within them counts whole.
    """
    low, high = candles.within(now - DAY - candles.period + 1, now)
    inside = candles.candles(low, high)
    elapsed = now - inside[-1].opened if inside else candles.period
    if elapsed < candles.period:
        inside[-1] = unfinished(inside[-1], candles.period, elapsed)
    before = candles.candles(low - 1, low)[0].close if low else 0
    day = merged(inside) if inside else Candle(now, before, before, before, before, 0, 0, 0, 0, 0)
    first = candles.traded_before(low)
    last = inside[-1] if inside else day
    lot = step(last.volume, last.taker_base)
    full: Ticker = {
        "symbol": symbol,
        "priceChange": amount(day.close - day.open),
        "priceChangePercent": _percent(day.close - day.open, day.open),
        "weightedAvgPrice": amount(day.quote_volume * UNIT // day.volume if day.volume else 0),
        "prevClosePrice": amount(before),
        "lastPrice": amount(day.close),
        "lastQty": amount(last.volume // max(last.trades, 1) // lot * lot),
        "bidPrice": amount(day.close),
        "bidQty": amount(last.taker_base),
        "askPrice": amount(day.close + TICK),
        "askQty": amount(last.volume - last.taker_base),
        "openPrice": amount(day.open),
        "highPrice": amount(day.high),
        "lowPrice": amount(day.low),
        "volume": amount(day.volume),
        "quoteVolume": amount(day.quote_volume),
        "openTime": now - DAY,
        "closeTime": now,
        "firstId": first if day.trades else -1,
        "lastId": first + day.trades - 1 if day.trades else -1,
        "count": day.trades,
    }
    return {name: full[name] for name in MINI} if mini else full


def _percent(change: int, whole: int) -> str:
    """In percent, with three decimals, the last one rounded to even."""
    thousandths = round(100_000 * change / whole) if whole else 0
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"
