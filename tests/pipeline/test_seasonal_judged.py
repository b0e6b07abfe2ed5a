"""Seasonal adjustment judged: by seasons that are known, by series without one, and by real histories."""

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from scipy.signal import lfilter

from .seasonal_reference import Version
from .seasonal_store import SeasonalStore

Floats = npt.NDArray[np.float64]
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[SeasonalStore]:
    store = SeasonalStore(dsn, tmp_path)
    yield store
    store.conn.close()


def put(store: SeasonalStore, feature: str, season: str, start: datetime, step: timedelta, values: Floats) -> None:
    store.add(feature, season)
    at = [start + step * number for number in range(len(values))]
    store.append(feature, [Version(ts, float(v), ts + step, END) for ts, v in zip(at, values, strict=True)])


def adjusted(store: SeasonalStore, feature: str) -> Floats:
    return np.array([twin.value for _, twin in sorted(store.twins(feature).items())])


def around(x: Floats, cycle: int) -> Floats:
    """Deviations from the centred mean of a cycle."""
    return x[cycle // 2 : -(cycle // 2)] - np.convolve(x, np.ones(cycle + 1) / (cycle + 1), "valid")


def test_planted_seasons_are_taken_out(store: SeasonalStore) -> None:
    rng = np.random.default_rng(1)
    hours = np.arange(16 * 168)
    day = 0.5 * np.sin(2 * np.pi * hours / 24) - 0.4 * (hours // 24 % 7 >= 5)
    truth = np.cumsum(rng.normal(0, 0.02, len(hours))) + rng.normal(0, 0.2, len(hours))
    put(store, "test/hours", "hour-of-week", START, HOUR, np.exp(truth + day))
    weeks = np.arange(16 * 52)
    year = 0.4 * np.sin(2 * np.pi * weeks / 52.1775)
    slow = np.cumsum(rng.normal(0, 0.03, len(weeks))) + rng.normal(0, 0.1, len(weeks))
    put(store, "test/weeks", "week-of-year", datetime(2008, 1, 2, tzinfo=UTC), WEEK, np.exp(slow + year))
    store.build()
    for feature, known, effect, ready in (("hours", truth, day, 5 * 168), ("weeks", slow, year, 5 * 52)):
        error = np.log(adjusted(store, f"test/{feature}")) - known
        assert error[ready:].std() < 0.4 * effect[ready:].std()


def test_a_pattern_of_new_york_is_learnt_anew_after_its_clock_changes(store: SeasonalStore) -> None:
    rng = np.random.default_rng(2)
    hours = np.arange(20 * 168)
    change = 12 * 168
    local = hours - 5 + (hours >= change)
    effect = 0.5 * np.sin(2 * np.pi * local / 24)
    truth = rng.normal(0, 0.2, len(hours))
    put(store, "test/f", "hour-of-week", START, HOUR, np.exp(truth + effect))
    store.build()
    error = np.log(adjusted(store, "test/f")) - truth
    assert error[change:].std() < 0.5 * effect.std()
    assert error[-168:].std() < 0.5 * error[change : change + 168].std()


@pytest.mark.parametrize(
    ("season", "step", "count", "cycle"), [("hour-of-week", HOUR, 14 * 168, 168), ("week-of-year", WEEK, 14 * 52, 52)]
)
def test_where_there_is_no_season_hardly_any_variance_is_added(
    store: SeasonalStore, season: str, step: timedelta, count: int, cycle: int
) -> None:
    rng = np.random.default_rng(3)
    raw: dict[str, list[Floats]] = {}
    for kind, memory in (("white noise", 0.0), ("AR(1)", 0.9), ("a random walk", 1.0)):
        raw[kind] = [0.1 * lfilter([1], [1, -memory], rng.normal(size=count)) for _ in range(4)]
        for number, x in enumerate(raw[kind]):
            put(store, f"test/{kind}/{number}", season, datetime(2010, 1, 4, tzinfo=UTC), step, np.exp(x))
    store.build()
    for kind, drawn in raw.items():
        after = [np.log(adjusted(store, f"test/{kind}/{number}")) for number in range(len(drawn))]
        for measure in (lambda x: around(x, cycle), np.diff):
            added = sum(measure(x).var() for x in after) / sum(measure(x).var() for x in drawn)
            assert added <= 1.05, f"{kind}: {added:.3f}"


def wald(y: Floats, dummies: Floats, lags: int) -> float:
    """p that none of the dummies explains y, by errors robust to autocorrelation over so many lags."""
    fit = sm.OLS(y, sm.add_constant(dummies)).fit(cov_type="HAC", cov_kwds={"maxlags": lags}, use_t=True)
    return float(fit.wald_test(np.eye(dummies.shape[1] + 1)[1:], use_f=True, scalar=True).pvalue)


def slope(y: Floats, effect: Floats, lags: int) -> tuple[float, float]:
    """By how much y follows the effect, and the robust error of that; below 1 is over-adjusted."""
    fit = sm.OLS(y, sm.add_constant(effect)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    return float(fit.params[1]), float(fit.bse[1])


def test_no_season_is_left_in_the_hourly_volume_of_btc(store: SeasonalStore, real_series: Path) -> None:
    with gzip.open(real_series / "btc_usd" / "BTCUSDT_perp_1h.csv.gz", "rt") as file:
        rows = [(int(row["open_time_ms"]), float(row["volume"]) * float(row["close"])) for row in csv.DictReader(file)]
    since = datetime(2023, 1, 2, tzinfo=UTC)
    values = np.array([value for ms, value in rows if ms >= since.timestamp() * 1000])
    put(store, "test/volume", "hour-of-week", since, HOUR, values)
    store.build()
    ready = slice(12 * 168, None)
    hours = np.arange(len(values))[84:-84][ready]
    raw = around(np.log(values), 168)[ready]
    rest = around(np.log(adjusted(store, "test/volume")), 168)[ready]
    dummies = np.column_stack(
        [hours % 24 == hour for hour in range(1, 24)] + [hours // 24 % 7 == day for day in range(1, 7)]
    ).astype(float)
    assert wald(raw, dummies, 168) < 1e-6
    assert wald(rest, dummies, 168) > 0.05
    assert rest.var() < 0.8 * raw.var()
    estimate, error = slope(raw, raw - rest, 168)
    assert estimate > 1 - 2 * error, "over-adjusted"


def test_no_season_is_left_in_the_treasury_account(store: SeasonalStore, real_series: Path) -> None:
    with (real_series / "wtregen" / "WTREGEN_macro-observer.csv").open(newline="") as file:
        values = np.array([float(row["Value"]) for row in csv.DictReader(file)])
    put(store, "test/account", "week-of-year", datetime(2002, 12, 18, tzinfo=UTC), WEEK, values)
    store.build()
    ready = slice(5 * 52, None)
    raw, rest = around(np.log(values), 52)[ready], around(np.log(adjusted(store, "test/account")), 52)[ready]
    phase = 2 * np.pi * np.arange(len(raw)) / 52.1775
    harmonics = np.column_stack([wave(k * phase) for k in range(1, 7) for wave in (np.sin, np.cos)])
    assert wald(raw, harmonics, 26) < 1e-6
    assert wald(rest, harmonics, 26) > 0.05
    assert rest.var() < 0.95 * raw.var()
    estimate, error = slope(raw, raw - rest, 26)
    assert estimate > 1 - 2 * error, "over-adjusted"
