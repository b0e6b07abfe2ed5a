"""Each fault that replay can inject into Binance's answers ends as docs/replay.md says and leaves no trace in features.

The reference is a store that met no fault: at the same frozen clock both have the same hash.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stamina

from feature_store.archive import export, move_payloads, set_up
from feature_store.errors import (
    ArchiveError,
    CircuitOpen,
    Malformed,
    Refused,
    Retriable,
    SourceError,
    TooFast,
)
from feature_store.pipeline.streams import Arrived, ingest_stream
from feature_store.pipeline.transform import Transformed, transform
from feature_store.settings import Settings
from feature_store.sources.contract import Window
from tests.archive.store import Server
from tests.conftest import database
from tests.replay.server import candle, candles, write

from .conftest import NAME
from .store import Store, open_store, shipped

DAY = datetime(2024, 3, 1, tzinfo=UTC)
WINDOW = Window(DAY, DAY + timedelta(hours=12))
MINUTES = 12 * 60
NOW = DAY + timedelta(hours=13)
KLINES = {"source": "binance", "path": "klines", "series": "BTCUSDT"}
FUNDING = {"source": "binance", "path": "fundingRate", "series": "BTCUSDT"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts follow each other at once; how long they wait is tested with http."""
    monkeypatch.setattr("feature_store.sources.http.TIMEOUT_SECONDS", 0.5)
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture(scope="module")
def undisturbed(server: str, stocked: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of a store that met no fault."""
    home = tmp_path_factory.mktemp("undisturbed")
    with database(server, NAME, stocked) as dsn, open_store(dsn, home, shipped()) as store:
        serve(store)
        assert all(load(store, stream).failures == {} for stream in STREAMS)
        assert store.transform() == MINUTES * 2 + 2
        return store.hash()


@pytest.fixture
def served(store: Store, undisturbed: str) -> Store:
    serve(store)
    return store


STREAMS = ("klines_1m", "funding_rate")


def serve(store: Store) -> None:
    """Half a day of minutes of two symbols, and the hour before it, which nobody asks for."""
    for symbol, price in (("BTCUSDT", 60000), ("ETHUSDT", 3000)):
        candles(store.folder, symbol, [candle(DAY.isoformat(), at, price + at) for at in range(-60, MINUTES)])
        settled = "ts,value\n2024-03-01T00:00:00Z,0.0001\n2024-03-01T08:00:00Z,0.0002\n"
        write(store.folder, symbol, settled, "binance/funding_rate")
    store.at(NOW)


def load(store: Store, stream: str = "klines_1m") -> Arrived:
    return ingest_stream(store.conn, store.catalog, store.settings, ("binance", stream), WINDOW, "test")


def judged(store: Store) -> Transformed:
    """The whole transform; where no range is at stake the models alone do."""
    return transform(store.conn, store.catalog, store.settings, "test")


def outcomes(store: Store, series: str = "BTCUSDT") -> list[tuple[str, str | None, int]]:
    """(outcome, reason, rows in the raw table) of every answer of a series' minutes or settlements."""
    return store.conn.execute(
        """select outcome, reason, (select count(*) from raw.binance_klines_1m as k where k.fetch_id = f.fetch_id)
             + (select count(*) from raw.binance_funding_rate as r where r.fetch_id = f.fetch_id)
           from raw.fetches as f where series = %s order by fetch_id""",
        (series,),
    ).fetchall()


def let_time_pass(store: Store) -> None:
    """As if the time had come until which hosts are left alone."""
    store.conn.execute("update ops.circuits set until = clock_timestamp()")
    store.conn.commit()


def recovers(store: Store, undisturbed: str) -> None:
    """The next run, without faults, ends where a store without trouble is."""
    store.clear_faults()
    let_time_pass(store)
    assert all(load(store, stream).failures == {} for stream in STREAMS)
    store.transform()
    assert store.hash() == undisturbed
    assert store.count("ops.circuits") == 0, "a good answer forgets the trouble"
    assert store.conn.execute(
        "select bool_and(rows_fetched = rows_loaded + rows_duplicate + rows_rejected) from raw.fetches"
    ).fetchone() == (True,)


PASSING = [
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500},
    {"kind": "disconnected"},
    {"kind": "timeout", "seconds": 1},
    {"kind": "wrong_key"},
    {"kind": "scaled", "field": "0", "factor": "1000"},  # microseconds, which Binance's newer files have
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: str(fault.get("status", fault["kind"])))
def test_trouble_that_passes_leaves_no_trace(served: Store, undisturbed: str, fault: dict[str, object]) -> None:
    served.fault(**fault, **KLINES)
    arrived = load(served)
    assert arrived.failures == {}
    assert waiting(served) == 0, "it was met"
    assert outcomes(served) == [("loaded", None, MINUTES)]
    load(served, "funding_rate")
    served.transform()
    assert served.hash() == undisturbed


def waiting(store: Store) -> int:
    return len(httpx.get(f"{store.replay_url}/_faults", timeout=None).json())


FAILING = [
    ({"kind": "status", "status": 400}, Refused, "failed", "answered 400"),
    ({"kind": "status", "status": 503, "count": 2}, Retriable, "failed", "answered 503"),
    ({"kind": "disconnected", "count": 2}, Retriable, "failed", "no answer"),
    ({"kind": "timeout", "seconds": 1, "count": 2}, Retriable, "failed", "no answer"),
    ({"kind": "truncated"}, Malformed, "rejected", "truncated or broken JSON"),
    ({"kind": "html"}, Malformed, "rejected", "HTML where JSON was due"),
    ({"kind": "renamed", "field": "4", "to": "1"}, Malformed, "rejected", "prices contradict each other"),
    ({"kind": "dropped", "field": "4"}, Malformed, "rejected", "a candle has 11 cells instead of 12"),
    ({"kind": "scaled", "field": "4", "factor": "1000"}, Malformed, "rejected", "prices contradict each other"),
    ({"kind": "ignored", "parameter": "startTime"}, Malformed, "rejected", "was not asked for"),
]


@pytest.mark.parametrize(
    ("fault", "error", "outcome", "text"), FAILING, ids=lambda case: case.get("kind") if isinstance(case, dict) else ""
)
def test_an_answer_that_cannot_be_trusted_is_recorded_and_nothing_of_it_is_loaded(
    served: Store, undisturbed: str, fault: dict[str, object], error: type[SourceError], outcome: str, text: str
) -> None:
    served.fault(**fault, **KLINES)
    arrived = load(served)
    (failure,) = arrived.failures.values()
    assert type(failure) is error
    assert waiting(served) == 0
    ((recorded, reason, rows),) = outcomes(served)
    assert (recorded, rows) == (outcome, 0)
    assert text in str(failure)
    assert text in str(reason)
    assert [rows for _, _, rows in outcomes(served, "ETHUSDT")] == [MINUTES], "the other series arrived"
    rejects = served.conn.execute("select rule from raw.rejects").fetchall()
    assert rejects == ([("unreadable_answer",)] if outcome == "rejected" else [])
    recovers(served, undisturbed)


@pytest.mark.parametrize(("change", "to"), [("renamed", "rate"), ("dropped", None)])
def test_a_field_that_is_missing_is_named(served: Store, undisturbed: str, change: str, to: str | None) -> None:
    served.fault(kind=change, field="fundingRate", to=to, **FUNDING)
    (failure,) = load(served, "funding_rate").failures.values()
    assert type(failure) is Malformed
    assert "lacks ['fundingRate']" in str(failure)
    assert outcomes(served)[0] == ("rejected", str(failure), 0)
    recovers(served, undisturbed)


BANS = [
    ({"status": 418, "retry_after": 600}, TooFast, "answered 418"),
    ({"status": 429, "retry_after": 600}, TooFast, "answered 429"),
    ({"status": 403}, Refused, "A firewall refuses this address"),
    ({"status": 451}, Refused, "It does not serve the place of this address"),
]


@pytest.mark.parametrize(("fault", "error", "text"), BANS, ids=[str(fault["status"]) for fault, *_ in BANS])
def test_a_host_that_sends_us_away_is_not_asked_until_the_time_has_come(
    served: Store, undisturbed: str, fault: dict[str, object], error: type[SourceError], text: str
) -> None:
    served.fault(kind="status", **fault, **KLINES)
    served.fault(kind="status", status=400, count=None, source="binance", path="klines", message="Asked nevertheless.")
    first, second = (list(load(served).failures.values()) for _ in range(2))
    assert [type(failure) for failure in first] == [error, CircuitOpen], "nor for the other series"
    assert [type(failure) for failure in second] == [CircuitOpen, CircuitOpen]
    assert text in str(first[0])
    assert "api.binance.com (binance) is not asked before" in str(second[0])
    assert outcomes(served) == [("failed", str(first[0]), 0)]
    assert outcomes(served, "ETHUSDT") == []
    assert load(served, "funding_rate").failures == {}, "the other host is asked"
    recovers(served, undisturbed)


def test_numbers_in_another_unit_are_loaded_and_do_not_become_features(served: Store) -> None:
    served.fault(kind="scaled", field="fundingRate", factor="10000", **FUNDING)
    assert load(served, "funding_rate").failures == {}
    assert outcomes(served)[0] == ("loaded", None, 2)
    done = judged(served)
    assert (done.appended, done.newly_blocked) == (0, 2)
    assert (
        served.conn.execute("select rule, content ->> 'feature_id' from raw.rejects").fetchall()
        == [("expected_range", "cex/binance/btcusdt_funding_rate")] * 2
    )
    load(served, "funding_rate")
    assert judged(served).appended == 2, "the right ones; the wrong ones stay out"
    assert served.state("cex/binance/btcusdt_funding_rate") == [0.0001, 0.0002]


def test_while_s3_is_away_points_arrive_and_the_archive_catches_up(served: Store, undisturbed: str, s3: Server) -> None:
    archive = Settings(
        FEATURE_STORE_POSTGRES_DSN=served.settings.postgres_dsn,
        FEATURE_STORE_HOME=s3.s3.home,
        FEATURE_STORE_PORT_S3=s3.s3.port,
        FEATURE_STORE_EXPORT_S3_URI="s3://test-away",
    )
    set_up(archive)
    s3.stop()
    assert all(load(served, stream).failures == {} for stream in STREAMS)
    served.transform()
    assert served.hash() == undisturbed
    answers = served.count("raw.payloads")
    for job in (export, move_payloads):
        with pytest.raises(ArchiveError, match=archive.s3_url):
            job(served.conn, archive)
        served.conn.rollback()
    s3.start()
    assert export(served.conn, archive).written == 3, "a day of each of three features"
    assert move_payloads(served.conn, archive).payloads == answers
    assert served.count("ops.dirty_days") == 0
