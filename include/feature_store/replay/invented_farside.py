"""Invented flows of the US spot ETFs by fund, since the day on which each began to trade.

Each number is drawn from the seed, its fund and its day alone, and so is the minute in which it is reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from feature_store.catalog import Catalog
from feature_store.catalog.calendars import Session, sessions
from feature_store.catalog.release import release_at
from feature_store.replay.invented import Entry, Extent, Invented

HEADER = ("ts", "value", "available_at")
LONDON = ZoneInfo("Europe/London")
REPORTED = time(10, 45)
"""By then, on the next day in London, the funds have reported."""
LATE, CORRECTED = 0.02, 0.012
"""Share of the days on which one fund reports after the release rule, and of the numbers that are corrected."""
COMMON = 0.6
"""How much of a fund's day is that of the market."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fund:
    """When a fund began, the mean and the standard deviation of its day in millions of USD, how often it has none."""

    since: str
    mean: float
    spread: float
    idle: float


FUNDS = {
    "btc": {
        "IBIT": Fund("2024-01-11", 95, 230, 0.08),
        "FBTC": Fund("2024-01-11", 16, 95, 0.15),
        "BITB": Fund("2024-01-11", 3, 25, 0.45),
        "ARKB": Fund("2024-01-11", 2, 45, 0.4),
        "BTCO": Fund("2024-01-11", 0.3, 9, 0.8),
        "EZBC": Fund("2024-01-11", 0.5, 6, 0.8),
        "BRRR": Fund("2024-01-11", 0.5, 5, 0.85),
        "HODL": Fund("2024-01-11", 1.8, 10, 0.6),
        "BTCW": Fund("2024-01-11", 0.2, 4, 0.9),
        "MSBT": Fund("2026-04-08", 5.8, 7, 0.4),
        "GBTC": Fund("2024-01-11", -43, 75, 0.25),
        "BTC": Fund("2024-07-31", 5, 22, 0.45),
    },
    "eth": {
        "ETHA": Fund("2024-07-23", 22, 75, 0.2),
        "ETHB": Fund("2026-03-12", 4, 12, 0.4),
        "FETH": Fund("2024-07-23", 5, 32, 0.4),
        "ETHW": Fund("2024-07-23", 1, 6, 0.7),
        "TETH": Fund("2024-07-23", 0.1, 2, 0.9),
        "ETHV": Fund("2024-07-23", 0.4, 4, 0.8),
        "QETH": Fund("2024-07-23", 0.1, 2, 0.9),
        "EZET": Fund("2024-07-23", 0.1, 2, 0.9),
        "ETHE": Fund("2024-07-23", -9, 22, 0.35),
        "ETH": Fund("2024-07-23", 3, 15, 0.45),
        "MSSE": Fund("2026-07-15", 1.5, 4, 0.5),
    },
}
"""Funds by stream."""


def farside(catalog: Catalog, extent: Extent) -> Iterator[Invented]:
    """The flows of each fund of both pages."""
    for stream, funds in FUNDS.items():
        (spec,) = catalog.series("farside", stream)
        first = max(extent.start, min(date.fromisoformat(fund.since) for fund in funds.values()))
        days = sessions(spec.calendar, first, extent.horizon)
        releases = release_at(spec, [datetime.combine(day.date, time.min, UTC) for day in days])
        dated = list(zip(days, releases, strict=True))
        for name in funds:
            yield stream, name, HEADER, _flows(stream, name, dated, extent.seed)


def _flows(stream: str, name: str, dated: list[tuple[Session, datetime]], seed: int) -> Iterator[Entry]:
    fund, funds = FUNDS[stream][name], list(FUNDS[stream])
    since = date.fromisoformat(fund.since)
    for session, release in dated:
        if session.date < since:
            continue
        whole = Random(f"{seed}:{stream}:{session.date}")  # noqa: S311 - invented numbers, no secrets
        market, is_late, who = whole.gauss(0, 1), whole.random() < LATE, whole.choice(funds)
        own = Random(f"{seed}:{stream}:{name}:{session.date}")  # noqa: S311
        idle, moved = own.random() < fund.idle, own.gauss(0, 1)
        value = 0.0 if idle else fund.mean + fund.spread * (COMMON * market + (1 - COMMON**2) ** 0.5 * moved)
        usual = datetime.combine(session.date + DAY, REPORTED, LONDON).astimezone(UTC)
        at = session.close_at + own.random() * (usual - session.close_at)
        if is_late and who == name:
            at = release + timedelta(hours=1 + 6 * own.random())
        yield _entry(session.date, value, at)
        if own.random() < CORRECTED and not idle:
            later = at + timedelta(days=own.randint(1, 4), minutes=own.randint(0, 300))
            yield _entry(session.date, value + own.choice((-1, 1)) * (0.1 + abs(own.gauss(0, fund.spread / 10))), later)


def _entry(day: date, value: float, at: datetime) -> Entry:
    return day.isoformat(), f"{value:.1f}".replace("-0.0", "0.0"), f"{at:%Y-%m-%dT%H:%M:00Z}"
