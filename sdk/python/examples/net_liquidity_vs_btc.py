"""Net liquidity against Bitcoin: as it was known on each day, and as it is known now.

    python net_liquidity_vs_btc.py [chart.png]

FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY say where the store is. Writes the chart and prints what it shows.
"""

import sys
from datetime import timedelta

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from feature_store_client import FeatureStore

LIQUIDITY, BTC = "macro/us/net_liquidity_usd", "crypto/btc/price_usd"
THEN, NOW, PRICE = "#b3531c", "#8a8f98", "#1f4e79"


def main() -> None:
    """Read, draw and say."""
    out = sys.argv[1] if len(sys.argv) > 1 else "net_liquidity_vs_btc.png"
    with FeatureStore() as store:
        today = store.get_latest_feature_point(BTC).available_at
        spine = pd.DataFrame({"at": pd.date_range(end=today.replace(hour=21, minute=0), periods=520, freq="B")})
        # Strict, as a backtest must be: nothing counts as known before this store or a dated vintage shows that it was.
        known_then = store.historical_pandas(spine, LIQUIDITY, max_age=timedelta(days=21)).set_index("at")[LIQUIDITY]
        known_now = store.query_pandas(LIQUIDITY, spine["at"].iloc[0], wide=True)[LIQUIDITY]
        # A price is not revised: as its venue had it, whenever this store loaded it.
        price = store.historical_pandas(spine, BTC, max_age=timedelta(days=1), strict=False).set_index("at")[BTC]
    draw(known_then, known_now, price, out)
    print(f"{out}: {known_then.notna().sum()} days of liquidity as known then, {len(known_now)} points as known now,")
    print(f"{price.notna().sum()} days of BTC.")


def draw(known_then: pd.Series, known_now: pd.Series, price: pd.Series, out: str) -> None:
    """Two years above, and below the weeks for which the store has a price."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    long, short = figure.subplots(2)
    panel(long, known_then, known_now, price)
    since = (price.dropna() if price.notna().any() else price).index[0] - timedelta(days=14)
    panel(short, *(line[line.index >= since] for line in (known_then, known_now, price)))
    long.set_title("US net liquidity and Bitcoin: known then, and known now", loc="left", weight="bold")
    short.set_title("The weeks for which this store has minutes of Bitcoin", loc="left")
    figure.supxlabel(caption(known_then, price), fontsize=9, ha="left", x=0.01)
    figure.savefig(out, dpi=110)


def panel(axes: Axes, known_then: pd.Series, known_now: pd.Series, price: pd.Series) -> None:
    """Liquidity on the left axis, Bitcoin on the right one."""
    axes.step(known_now.index, known_now / 1e12, where="post", color=NOW, lw=1.2, label="net liquidity, as known now")
    axes.step(
        known_then.index, known_then / 1e12, where="post", color=THEN, lw=1.4, label="net liquidity, as known that day"
    )
    axes.set_ylabel("trillion USD")
    right = axes.twinx()
    right.plot(price.index, price / 1e3, color=PRICE, lw=1.2, marker=".", ms=3, label="BTC (right)")
    right.set_ylabel("thousand USD")
    right.set_xlim(known_then.index[0], known_then.index[-1])
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower left", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)


def caption(known_then: pd.Series, price: pd.Series) -> str:
    """What a reader has to know of the lines."""
    unknown = int(known_then.isna().sum())
    return (
        "Known that day: on 520 business days, at 21:00 UTC, the newest value published by then; "
        f"{unknown} days have none.\nKnown now: today's value of each date, drawn at that date, before it came out. "
        f"BTC: the {int(price.notna().sum())} of these days that the store holds minutes of."
    )


if __name__ == "__main__":
    main()
