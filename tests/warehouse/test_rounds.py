"""A round of venues on its way into the store: asked through the catalog's hosts, landed whole, read from there."""

import json
from pathlib import Path

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.replay.schedule import CatalogSchedule
from feature_store.settings import Settings
from feature_store.sources import cex
from feature_store.sources.circuit import circuits
from feature_store.sources.contract import Window
from feature_store.warehouse import ingest
from feature_store.warehouse.landing import Place
from tests.faults import add_fault
from tests.replay.server import Wall, candle, candles, serving

NOW = "2026-03-02T12:00:30+00:00"


@pytest.mark.parametrize(("stream", "asked"), [("books", 6), ("open_interest", 7)])
def test_a_round_is_landed_whole_and_read_from_there(
    db: psycopg.Connection, dsn: str, tmp_path: Path, stream: str, asked: int
) -> None:
    wall, catalog = Wall(NOW), load_catalog()
    candles(tmp_path, "BTCUSDT", [candle("2026-03-02T11:55:00Z", at, 50_000) for at in range(10)])
    clock.freeze(db, wall())
    (series,), source = catalog.series("cex", stream), catalog.source("cex")
    with serving(tmp_path, wall, CatalogSchedule()) as url:
        settings = Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_REPLAY_URL=url, FEATURE_STORE_HOME=tmp_path)
        fault = {"kind": "status", "status": 403, "source": "cex", "series": "BTC", "path": "okx/"}
        add_fault(url, **fault)
        with ingest._http(settings, cex, source, source.streams[stream], lambda: ingest._now(db)) as http:
            payloads = cex.fetch(http, series, Window(None, wall()))
            lander = ingest.Lander(db, Place("cex", stream, "UTC"), series, "test", http.redact)
            answers, failure = lander.take(payloads, cex.parse)
    assert failure is None
    (answer,) = answers
    assert (answer.error, answer.fetched) == (None, 1)
    row = db.execute("select endpoint, url, params, status, content_type, fetched_at from raw.fetches").fetchone()
    assert row is not None
    assert (row[0], row[2]["series"], row[5]) == (stream, "BTC", wall())
    held = db.execute("select size_bytes from raw.payloads").fetchone()
    assert held is not None
    assert held[0] > 1000
    assert [each["host"] for each in circuits(db)] == ["www.okx.com"]
    line = answer.parts[0].lines.rstrip("\n").split("\t")
    told = dict(zip(answer.parts[0].names, line, strict=True))
    assert (told["answered"], told["asked"], told["ts"]) == (str(asked - 1), str(asked), wall().isoformat())
    venues = json.loads(told["venues"].replace("\\\\", "\\"))
    assert "answered 403" in venues["okx"]["missing"]


def test_venues_have_their_own_hosts_when_live_and_are_below_one_mount_in_replay(dsn: str, tmp_path: Path) -> None:
    source = load_catalog().source("cex")
    for upstream, root in (("live", "https://www.okx.com"), ("replay", "http://replay:1/cex/okx")):
        settings = Settings(
            FEATURE_STORE_POSTGRES_DSN=dsn,
            FEATURE_STORE_UPSTREAM=upstream,
            FEATURE_STORE_REPLAY_URL="http://replay:1",
            FEATURE_STORE_HOME=tmp_path,
        )
        with ingest._http(settings, cex, source, source.streams["books"], Wall(NOW)) as http:
            assert http._hosts["okx"].base_url == root
            assert set(http._hosts) == set(source.hosts)
