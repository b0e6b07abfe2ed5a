"""From the source to the raw table: what a late run lost, and a source whose address is the user's secret."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from feature_store import clock
from feature_store.catalog import Catalog, load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Refused, SettingsError, SourceDisabled
from feature_store.replay.invented_tradingview import COLUMNS as BARS
from feature_store.settings import Settings
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import ingest
from feature_store.warehouse.status import read_status
from feature_store.warehouse.windows import EDGE
from tests.faults import add_fault
from tests.replay.server import Wall, candle, candles, serving, write

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY, FIVE = timedelta(days=1), timedelta(minutes=5)
PASSWORD = "pa55w0rd"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def wall() -> Wall:
    return Wall(NOON.isoformat())


@pytest.fixture
def url(tmp_path: Path, wall: Wall) -> Iterator[str]:
    with serving(tmp_path, wall) as url:
        yield url


@pytest.fixture
def settings(dsn: str, url: str) -> Settings:
    return Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_REPLAY_URL=url)


@pytest.fixture
def turn(db: psycopg.Connection, wall: Wall) -> Callable[[datetime], None]:
    """Turn the clocks of the store and of the source."""

    def turn(instant: datetime) -> None:
        clock.freeze(db, instant)
        wall.turn(instant.isoformat())

    turn(NOON)
    return turn


def spec(catalog: Catalog, slug: str, stream: str, name: str) -> SeriesSpec:
    return next(series for series in catalog.series(slug, stream) if series.name == name)


def interests(folder: Path, until: datetime, days: int) -> None:
    rows = [f"{until - at * FIVE:%Y-%m-%dT%H:%M:%SZ},100.5,2" for at in reversed(range(days * 288))]
    table = "\n".join(["ts,sum_open_interest,sum_open_interest_value", *rows])
    write(folder, "BTCUSDT", f"{table}\n", "binance/open_interest_hist")


def test_a_clock_that_jumps_forty_days_leaves_a_gap_that_status_shows(
    db: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    tmp_path: Path,
    turn: Callable[[datetime], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    interests(tmp_path, NOON + 41 * DAY, 75)
    series = spec(catalog, "binance", "open_interest_hist", "BTCUSDT")
    first = ingest(db, catalog, settings, series)
    assert first.loaded == 30 * 288 - 2, "all that the source answers for, from inside its edge"
    assert ingest(db, catalog, settings, series).loaded == 0
    turn(NOON + 40 * DAY)
    ingest(db, catalog, settings, series)
    turn(NOON + 40 * DAY + FIVE)
    assert ingest(db, catalog, settings, series).loaded == 1
    (gap,) = read_status(db, catalog, settings)["gaps"]
    assert (gap["source"], gap["stream"], gap["series"]) == ("binance", "open_interest_hist", "BTCUSDT")
    assert (gap["since"], gap["until"]) == (NOON, NOON + 10 * DAY + EDGE)
    assert gap["noticed_at"] == NOON + 40 * DAY
    assert caplog.text.count("binance/open_interest_hist/BTCUSDT is lost from") == 1
    lost = db.execute(
        "select count(*) from raw.binance_open_interest_hist where ts > %s and ts < %s", (gap["since"], gap["until"])
    ).fetchone()
    assert lost == (0,)


def test_a_window_of_open_interest_loads_what_the_source_still_has(
    db: psycopg.Connection, catalog: Catalog, settings: Settings, tmp_path: Path, turn: Callable[[datetime], None]
) -> None:
    interests(tmp_path, NOON, 31)
    turn(NOON)
    series = spec(catalog, "binance", "open_interest_hist", "BTCUSDT")
    counts = ingest(db, catalog, settings, series, Window(NOON - 60 * DAY, NOON - 20 * DAY))
    assert counts.loaded == 10 * 288 - 2
    assert db.execute("select count(*) from ops.gaps").fetchone() == (0,)


def test_a_book_is_loaded_as_of_the_stores_clock(
    db: psycopg.Connection, catalog: Catalog, settings: Settings, tmp_path: Path, turn: Callable[[datetime], None]
) -> None:
    candles(tmp_path, "BTCUSDT", [candle("2026-03-02T11:00:00Z", at, 60_000) for at in range(70)])
    turn(NOON)
    ingest(db, catalog, settings, spec(catalog, "binance", "depth", "BTCUSDT"))
    row = db.execute(
        "select ts, is_truncated, bid_depth_2pct > 1e7, ask_reach > 0.02, available_at from raw.binance_depth"
    ).fetchone()
    assert row == (NOON, False, True, True, NOON)


@pytest.fixture
def live(settings: Settings, url: str, tmp_path: Path, turn: Callable[[datetime], None]) -> Settings:
    """The real upstreams, of which the user's datafeed is one, with secrets in its address."""
    rows = ["2026-02-26,1,4,1,3,", "2026-02-27,3,5,2,4,", "2026-03-02,4,6,3,5,"]
    write(tmp_path, "SP_SPX", "\n".join([",".join(BARS), *rows]) + "\n", "tradingview/history")
    turn(NOON + timedelta(hours=4))  # the session of the day has been open for an hour and a half
    address = f"{url.replace('//', f'//me:{PASSWORD}@')}/tradingview?token=t0k3n"
    return settings.model_copy(update={"upstream": "live", "tradingview_datafeed_url": SecretStr(address)})


def everything_told(db: psycopg.Connection) -> str:
    tables = ("raw.fetches", "ops.circuits", "ops.stream_progress", "raw.tradingview_history")
    return str([db.execute(f"select * from {table}".encode()).fetchall() for table in tables])


def is_untold(said: str) -> bool:
    return not any(secret in said for secret in (PASSWORD, "t0k3n", "127.0.0.1"))


def test_the_users_datafeed_is_asked_and_its_address_is_stored_nowhere(
    db: psycopg.Connection, catalog: Catalog, live: Settings, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    series = spec(catalog, "tradingview", "history", "SP:SPX")
    assert ingest(db, catalog, live, series).loaded == 3
    bars = db.execute(
        "select to_char(ts, 'MM-DD'), close, volume, is_provisional from raw.tradingview_history order by ts"
    ).fetchall()
    assert [bar[:1] + bar[2:] for bar in bars] == [
        ("02-26", None, False),
        ("02-27", None, False),
        ("03-02", None, True),
    ]
    assert [bar[1] for bar in bars[:2]] == [3, 4]
    urls = [fetched for (fetched,) in db.execute("select url from raw.fetches order by fetch_id").fetchall()]
    assert urls[0].startswith("TRADINGVIEW_DATAFEED_URL/history?symbol=SP%3ASPX&resolution=1D&from=0&to=")
    body = {"kind": "status", "status": 404, "message": f"no {url}/tradingview?token=t0k3n here"}
    add_fault(url, **body)
    with pytest.raises(Refused, match="TRADINGVIEW_DATAFEED_URL/history") as raised:
        ingest(db, catalog, live, series)
    assert is_untold(f"{raised.value!r}")
    assert is_untold(f"{everything_told(db)}{caplog.text}")


@pytest.mark.parametrize("address", [None, "feed.example.com/t0k3n"])
def test_without_an_address_the_source_alone_says_so_and_nothing_is_asked(
    db: psycopg.Connection, catalog: Catalog, live: Settings, address: str | None
) -> None:
    unset = live.model_copy(update={"tradingview_datafeed_url": SecretStr(address) if address else None})
    with pytest.raises((SourceDisabled, SettingsError), match=r"TRADINGVIEW_DATAFEED_URL(\. Set it| is)") as raised:
        ingest(db, catalog, unset, spec(catalog, "tradingview", "history", "SP:SPX"))
    assert is_untold(str(raised.value))
    assert db.execute("select count(*) from raw.fetches").fetchone() == (0,)


def test_the_replayed_datafeed_needs_no_address(db: psycopg.Connection, catalog: Catalog, live: Settings) -> None:
    replayed = live.model_copy(update={"upstream": "replay", "tradingview_datafeed_url": None})
    assert ingest(db, catalog, replayed, spec(catalog, "tradingview", "history", "SP:SPX")).loaded == 3
    assert ingest(db, catalog, replayed, spec(catalog, "tradingview", "history", "SP:SPX")).loaded == 0
