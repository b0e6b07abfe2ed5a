"""Whatever FRED answers ends in the documented way: never half a table, never a zero for "not known", never a key."""

import hashlib
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
import stamina
import zstandard
from pydantic import SecretStr

from feature_store.errors import (
    CatalogError,
    Malformed,
    Refused,
    Retriable,
    SourceDisabled,
    SourceError,
    TooFast,
)
from feature_store.sources.contract import Payload, check_fields
from feature_store.warehouse.ingest import ingest
from feature_store.warehouse.status import read_status
from tests.faults import clear_faults

from .store import Store

SECRET = "s3cr3t" + "x" * 26
OBSERVATIONS = {"source": "fred", "path": "series/observations"}


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Attempts follow each other at once; how long they wait is tested with http."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def loaded(store: Store) -> Store:
    """A store that holds one observation; a second one waits to be fetched."""
    store.serve(
        "WALCL",
        "ts,value,available_at\n2024-03-06,7000000,2024-03-07T21:30:00Z\n2024-03-13,7100000,2024-03-14T20:30:00Z\n",
    )
    store.settings = store.settings.model_copy(update={"fred_api_key": SecretStr(SECRET)})
    store.at("2024-03-10")
    store.run()
    store.at("2024-03-16")
    return store


CASES = [
    ({"kind": "status", "status": 400, **OBSERVATIONS}, Refused, "failed", "answered 400"),
    ({"kind": "status", "status": 404, **OBSERVATIONS}, Refused, "failed", "answered 404"),
    ({"kind": "wrong_key"}, Refused, "failed", "api_key is not registered"),
    ({"kind": "status", "status": 429}, TooFast, "failed", "answered 429"),
    ({"kind": "status", "status": 500, **OBSERVATIONS}, Retriable, "failed", "answered 500"),
    ({"kind": "status", "status": 503}, Retriable, "failed", "answered 503"),
    ({"kind": "timeout", "seconds": 1.5, **OBSERVATIONS}, Retriable, "failed", "no answer"),
    ({"kind": "disconnected", **OBSERVATIONS}, Retriable, "failed", "no answer"),
    ({"kind": "truncated", **OBSERVATIONS}, Malformed, "rejected", "truncated or broken JSON"),
    ({"kind": "html", **OBSERVATIONS}, Malformed, "rejected", "HTML where JSON was due"),
    ({"kind": "html", "path": "vintagedates"}, Malformed, "rejected", "HTML where JSON was due"),
    (
        {"kind": "renamed", "field": "value", "to": "val", **OBSERVATIONS},
        Malformed,
        "rejected",
        "lacks ['value']",
    ),
    ({"kind": "dropped", "field": "date", **OBSERVATIONS}, Malformed, "rejected", "lacks ['date']"),
    (
        {"kind": "renamed", "field": "observations", "to": "rows", **OBSERVATIONS},
        Malformed,
        "rejected",
        "observations",
    ),
    ({"kind": "renamed", "field": "vintage_dates", "to": "dates"}, Malformed, "rejected", "vintage_dates"),
    ({"kind": "renamed", "field": "seriess", "to": "series"}, Malformed, "rejected", "seriess"),
]


@pytest.mark.parametrize(("fault", "error", "outcome", "text"), CASES, ids=[f"{c[0]['kind']}-{c[3]}" for c in CASES])
def test_a_bad_answer_is_recorded_and_the_next_run_recovers(
    loaded: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, object],
    error: type[SourceError],
    outcome: str,
    text: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("feature_store.sources.http.TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("feature_store.sources.patience.SLOW_DOWN_SECONDS", 0.01)
    held = loaded.hash()
    loaded.fault(**fault, count=2)

    with pytest.raises(error, match=re.escape(text)) as raised:
        loaded.ingest()
    loaded.conn.rollback()  # as a task that fails does: what is to stay must be committed by then

    assert loaded.count("raw.fred_observations") == 1, "no row of a bad answer is loaded"
    recorded = loaded.conn.execute(
        "select outcome, reason, rows_fetched, rows_rejected from raw.fetches order by fetch_id desc limit 1"
    ).fetchone()
    assert recorded is not None
    assert recorded[0] == outcome
    assert text in recorded[1]
    assert recorded[2] == recorded[3], "what was fetched is accounted for"
    rejects = loaded.conn.execute("select rule, reason from raw.rejects").fetchall()
    assert [rule for rule, _ in rejects] == (["unreadable_answer"] if outcome == "rejected" else [])
    assert SECRET not in f"{raised.value}{caplog.text}{everything(loaded)}"

    loaded.transform()
    assert loaded.hash() == held, "features are as they were"
    clear(loaded)
    loaded.run()
    assert loaded.values() == {"2024-03-06": 7e12, "2024-03-13": 7.1e12}


def test_an_unknown_series_is_refused_by_name(store: Store) -> None:
    store.at("2024-03-10")
    with pytest.raises(Refused, match=r"series_id=WALCL.*series does not exist"):
        store.ingest("WALCL")


def test_an_unknown_extra_field_is_a_warning(loaded: Store, caplog: pytest.LogCaptureFixture) -> None:
    payload = Payload("series/observations", "http://x", {}, 200, "application/json", b"{}", 1, loaded.now())
    check_fields(payload, {"a": 1, "new": 2}, frozenset({"a"}))
    assert "unknown fields ['new']" in caplog.text


def test_a_unit_the_catalog_does_not_scale_rejects_the_answer(loaded: Store) -> None:
    loaded.serve("WTREGEN", "ts,value,available_at,unit\n2024-03-13,1,2024-03-14T20:30:00Z,Trillions of Dollars\n")
    with pytest.raises(Malformed, match=r"WTREGEN states the unit 'Trillions of Dollars'.*tga_balance_usd"):
        loaded.ingest("WTREGEN")
    loaded.conn.rollback()
    assert loaded.count("raw.rejects") == 1


def test_counts_of_every_fetch_add_up(loaded: Store) -> None:
    loaded.ingest()
    rows = loaded.conn.execute(
        "select rows_fetched, rows_loaded, rows_duplicate, rows_rejected from raw.fetches"
    ).fetchall()
    assert all(fetched == added + same + rejected for fetched, added, same, rejected in rows)
    assert sum(fetched for fetched, *_ in rows) > 1


def test_two_runs_at_once_load_each_row_once(loaded: Store) -> None:
    series = next(s for s in loaded.catalog.series("fred", "observations") if s.name == "WALCL")

    def run(_: int) -> int:
        with psycopg.connect(loaded.settings.postgres_dsn, options="-c timezone=UTC") as conn:
            return ingest(conn, loaded.catalog, loaded.settings, series).loaded

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(run, range(3))) == [0, 0, 1]


def test_a_missing_key_disables_its_live_source_and_no_other(store: Store) -> None:
    live = store.settings.model_copy(update={"upstream": "live", "fred_api_key": None})
    connectors = {row["source"]: row["connector"] for row in read_status(store.conn, store.catalog, live)["sources"]}
    assert "disabled: FEATURE_STORE_UPSTREAM=live needs FRED_API_KEY. Set it" in connectors["fred"]
    assert connectors["binance-api"] == "connected"
    store.settings = live
    with pytest.raises(SourceDisabled, match="needs FRED_API_KEY"):
        store.ingest("WALCL")
    assert store.count("raw.fetches") == 0


def test_payloads_are_kept_byte_for_byte(loaded: Store) -> None:
    for digest, content, size in loaded.conn.execute("select sha256, content, size_bytes from raw.payloads"):
        body = zstandard.decompress(content)
        assert (hashlib.sha256(body).hexdigest(), len(body)) == (digest, size)


def test_a_source_that_nobody_wrote_a_connector_for_is_named(store: Store) -> None:
    fred = store.catalog.sources["fred"].model_copy(update={"id": "ninth", "slug": "ninth"})
    catalog = replace(store.catalog, sources={**store.catalog.sources, "ninth": fred})
    series = catalog.series("fred", "observations")[0].model_copy(update={"source_slug": "ninth"})
    with pytest.raises(CatalogError, match=r"no connector yet.*feature_store\.sources\.ninth"):
        ingest(store.conn, catalog, store.settings, series)
    told = read_status(store.conn, catalog, store.settings)["sources"]
    assert {"source": "ninth", "connector": "no connector yet"} in told


def clear(store: Store) -> None:
    clear_faults(store.replay_url)


def everything(store: Store) -> str:
    """All text that the store keeps of requests."""
    rows = store.conn.execute("select f::text from raw.fetches f union all select r::text from raw.rejects r")
    return "".join(text for (text,) in rows)


def test_a_series_without_vintages_is_read_as_it_is_today(loaded: Store) -> None:
    loaded.serve("SP500", "ts,value,available_at\n2024-03-14,5150.48,2024-03-15T01:00:00Z\n")
    loaded.fault(
        kind="status",
        status=400,
        series="SP500",
        message="Bad Request.  The series does not exist in ALFRED but may exist in FRED.",
    )
    assert loaded.ingest("SP500").loaded == 1
    row = loaded.conn.execute(
        "select value, vintage_date, available_basis from raw.fred_observations where series = 'SP500'"
    ).fetchone()
    assert row is not None
    assert (float(row[0]), row[1], row[2]) == (5150.48, None, "schedule")
