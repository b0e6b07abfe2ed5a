"""What `fred/series` tells about a series: fixed texts for the shipped ones, inferred for all others."""

from datetime import date, datetime
from itertools import pairwise
from statistics import median
from typing import Any

from feature_store.replay.archive import CENTRAL, Archive

TITLES = {
    "WALCL": ("Assets: Total Assets: Total Assets (Less Eliminations from Consolidation): Wednesday Level",
              "Weekly, As of Wednesday", "Millions of U.S. Dollars"),
    "WTREGEN": ("Liabilities and Capital: Liabilities: Deposits with F.R. Banks, Other Than "
                "Reserve Balances: U.S. Treasury, General Account: Week Average",
                "Weekly, Ending Wednesday", "Millions of U.S. Dollars"),
    "RRPONTSYD": ("Overnight Reverse Repurchase Agreements: Treasury Securities Sold by the Federal "
                  "Reserve in the Temporary Open Market Operations", "Daily", "Billions of US Dollars"),
    "SP500": ("S&P 500", "Daily, Close", "Index"),
    "VIXCLS": ("CBOE Volatility Index: VIX", "Daily, Close", "Index"),
    "DTWEXBGS": ("Nominal Broad U.S. Dollar Index", "Daily", "Index Jan 2006=100"),
}  # fmt: skip
"""Title, frequency and unit, as FRED states them."""

SPACINGS = ((5, "Daily"), (10, "Weekly"), (45, "Monthly"), (120, "Quarterly"))
"""The greatest median distance in days of each frequency."""


def metadata(series: str, known: Archive, unit: str, since: date, until: date) -> dict[str, Any]:
    """One entry of `seriess`: the series as described from `since` to `until`."""
    title, frequency, default_unit = TITLES.get(series, (series, "", ""))
    frequency = frequency or _frequency(list(known.changes))
    units = unit or default_unit or "Units"
    first, last = known.span(min(until, max(known.vintages[-1], since)))
    return {
        "id": series,
        "realtime_start": str(since),
        "realtime_end": str(until),
        "title": title,
        "observation_start": str(first),
        "observation_end": str(last),
        "frequency": frequency,
        "frequency_short": frequency[0],
        "units": units,
        "units_short": _short(units),
        "seasonal_adjustment": "Not Seasonally Adjusted",
        "seasonal_adjustment_short": "NSA",
        "last_updated": _odd_instant(known.updated),
        "popularity": 1,
        "notes": "Served by replay.",
    }


def _short(units: str) -> str:
    for word, short in (("Millions", "Mil."), ("Billions", "Bil."), ("Dollars", "$")):
        units = units.replace(word, short)
    return units


def _frequency(observed: list[date]) -> str:
    gaps = [(b - a).days for a, b in pairwise(observed)]
    typical = median(gaps) if gaps else 1
    return next((name for most, name in SPACINGS if typical <= most), "Annual")


def _odd_instant(instant: datetime) -> str:
    """`2024-10-30 07:54:01-05`: local time with a bare hour of offset, which is not ISO 8601."""
    local = instant.astimezone(CENTRAL)
    return f"{local:%Y-%m-%d %H:%M:%S}{local:%z}"[:-2]
