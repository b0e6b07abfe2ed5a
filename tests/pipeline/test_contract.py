"""What holds of every connector alike: one suite over all connected streams of the catalog."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import stamina
from pydantic import SecretStr

from feature_store.archive import read_payload
from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, OutOfReach, SourceError
from feature_store.pipeline.transform import transform
from feature_store.replay.generate import generate
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import connector_of, ingest
from feature_store.warehouse.loading import Counts
from feature_store.warehouse.rereading import reread
from tests.conftest import database

from .conftest import NAME
from .store import Store, open_store, shipped

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
LATELY = Window(NOW - timedelta(days=20), NOW)
SECRET = "s3cr3t" + "x" * 26

STREAMS = load_catalog().connected_streams
FIELDS = {
    ("fred", "observations"): "value",
    ("binance", "klines_1m"): "4",
    ("binance", "klines_1h"): "4",
    ("binance", "funding_rate"): "fundingRate",
    ("binance", "ticker_24h"): "lastPrice",
    ("binance", "depth"): "bids",
    ("binance", "open_interest"): "openInterest",
    ("binance", "open_interest_hist"): "sumOpenInterest",
    ("defillama", "stablecoincharts"): "totalCirculatingUSD",
    ("defillama", "protocols"): "category",
    ("defillama", "historical_chain_tvl"): "tvl",
    ("blockchain", "hash_rate"): "y",
    ("blockchain", "total_bitcoins"): "y",
    ("blockchain", "market_price"): "y",
    ("etherscan", "gasoracle"): "ProposeGasPrice",
    ("tradingview", "history"): "c",
}
"""A field of each stream without which its answers cannot be read."""

WITHOUT_FIELDS = {("farside", "btc"), ("farside", "eth"), ("cex", "books"), ("cex", "open_interest")}
"""Farside's pages have no fields, and a round of the aggregator outlives a venue that lacks one: their own tests spoil
them."""

every_stream = pytest.mark.parametrize(("slug", "stream"), STREAMS, ids=str)


def specs(store: Store, slug: str, stream: str) -> tuple[SeriesSpec, ...]:
    return store.catalog.series(slug, stream)


def take(store: Store, slug: str, stream: str) -> Counts:
    """The first series of a stream: lately, or now where it answers only for now."""
    window = None if store.catalog.source(slug).streams[stream].history == "none" else LATELY
    series = specs(store, slug, stream)[0]
    return ingest(store.conn, store.catalog, store.settings, series, window, run_id="test")


def rows(store: Store, slug: str, stream: str) -> list[tuple[object, ...]]:
    found = store.conn.execute(f"select * from raw.{slug}_{stream} order by series, ts, fetch_id, reading").fetchall()
    store.conn.commit()
    return found


@pytest.fixture(scope="module")
def whole(server: str, stocked: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store over the default folder that has taken every stream once."""
    home = tmp_path_factory.mktemp("contract")
    generate(home / "series", NOW)
    with database(server, NAME, stocked) as dsn, open_store(dsn, home, shipped()) as store:
        store.at(NOW)
        names = {
            name
            for source in store.catalog.connected_sources
            for name in connector_of(store.catalog, source.slug).SECRET_PARAMS.values()
        }
        keys = {name.lower(): SecretStr(SECRET) for name in names}
        store.settings = store.settings.model_copy(update=keys)
        for slug, stream in STREAMS:
            take(store, slug, stream)
        yield store


@pytest.fixture
def store(whole: Store) -> Iterator[Store]:
    """The same, with nothing spoilt; attempts follow each other at once."""
    with stamina.set_testing(True, attempts=2):
        yield whole
    whole.clear_faults()


@every_stream
def test_rows_come_out_with_their_times(store: Store, slug: str, stream: str) -> None:
    found = store.row(
        f"""select count(*), count(distinct (series, ts, fetch_id)), bool_and(available_at <= fetched_at)
            from raw.{slug}_{stream} where reading = 0""",
    )
    assert found[0] > 0
    assert found[2], "nothing is known before its source could serve it"


@every_stream
def test_an_answer_gives_each_point_once(store: Store, slug: str, stream: str) -> None:
    key = "series, ts, fetch_id, reading" + (", vintage_date" if slug == "fred" else "")
    assert not store.conn.execute(f"select 1 from raw.{slug}_{stream} group by {key} having count(*) > 1").fetchall()


@every_stream
def test_reading_stored_payloads_again_gives_identical_rows(store: Store, slug: str, stream: str) -> None:
    before = rows(store, slug, stream)
    fetches = [
        fetch_id
        for (fetch_id,) in store.conn.execute(
            "select fetch_id from raw.fetches where (source, stream) = (%s, %s) and outcome = 'loaded'", (slug, stream)
        )
    ]
    *_, found = reread(
        store.conn, store.catalog, slug, partial(read_payload, store.conn, store.settings), fetch_ids=fetches
    )
    assert (found.answers, found.counts.loaded, found.unreadable) == (len(fetches), 0, [])
    assert rows(store, slug, stream) == before


@every_stream
def test_asking_again_at_the_same_instant_adds_nothing(store: Store, slug: str, stream: str) -> None:
    before = rows(store, slug, stream)
    counts = take(store, slug, stream)
    assert counts.loaded == 0
    assert counts.fetched == counts.duplicate
    assert rows(store, slug, stream) == before


@every_stream
def test_a_missing_field_rejects_the_answer_with_its_fetch(store: Store, slug: str, stream: str) -> None:
    if (slug, stream) in WITHOUT_FIELDS:
        pytest.skip("spoilt in the source's own tests")
    before = rows(store, slug, stream)
    path = {"observations": "series/observations"}.get(stream) if slug == "fred" else None
    store.fault(kind="dropped", source=slug, field=FIELDS[slug, stream], count=None, **({"path": path} if path else {}))
    with pytest.raises(Malformed):
        take(store, slug, stream)
    reason, fetch_id = store.row(
        """select reason, fetch_id from raw.rejects where (source, stream) = (%s, %s) and resolved_at is null
           order by reject_id desc limit 1""",
        slug, stream,
    )  # fmt: skip
    assert reason
    assert store.row("select outcome from raw.fetches where fetch_id = %s", fetch_id) == ("rejected",)
    assert rows(store, slug, stream) == before, "of a broken answer nothing is taken"


@every_stream
def test_an_extra_field_is_a_warning_and_changes_no_row(
    store: Store, slug: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    if (slug, stream) in WITHOUT_FIELDS:
        pytest.skip("spoilt in the source's own tests")
    before = rows(store, slug, stream)
    store.fault(kind="added", source=slug, field=FIELDS[slug, stream], count=None)
    counts = take(store, slug, stream)
    assert counts.fetched == counts.duplicate > 0
    assert rows(store, slug, stream) == before
    if (slug, stream) == ("defillama", "protocols"):
        return  # of whose many fields two are read
    assert any("unknown" in said.getMessage() for said in caplog.records if said.levelname == "WARNING")


@every_stream
@pytest.mark.parametrize("kind", ["html", "truncated"])
def test_what_is_no_answer_is_never_read(store: Store, slug: str, stream: str, kind: str) -> None:
    before = rows(store, slug, stream)
    store.fault(kind=kind, source=slug, count=None)
    with pytest.raises(SourceError):
        take(store, slug, stream)
    assert rows(store, slug, stream) == before
    fetch_id, outcome, is_landed, reason = store.row(
        """select fetch_id, outcome, sha256 is not null, reason from raw.fetches where (source, stream) = (%s, %s)
           order by fetch_id desc limit 1""",
        slug, stream,
    )  # fmt: skip
    assert is_landed, "whatever came is kept"
    if outcome == "failed":
        assert reason
    else:
        assert outcome == "rejected"
        assert store.row("select count(*) > 0 from raw.rejects where fetch_id = %s", fetch_id) == (True,)


@every_stream
def test_a_snapshot_never_answers_for_the_past(store: Store, slug: str, stream: str) -> None:
    if store.catalog.source(slug).streams[stream].history != "none":
        pytest.skip("the stream has a history")
    fetches = store.count("raw.fetches")
    past = Window(NOW - timedelta(days=2), NOW - timedelta(days=1))
    with pytest.raises(OutOfReach, match="answers only for now"):
        ingest(store.conn, store.catalog, store.settings, specs(store, slug, stream)[0], past)
    assert store.count("raw.fetches") == fetches


def test_counts_balance_and_no_secret_is_kept(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keyed = [place for place in STREAMS if connector_of(store.catalog, place[0]).SECRET_PARAMS]
    assert keyed
    for slug, stream in keyed:
        store.fault(kind="status", status=400, source=slug, message=f"what is {SECRET}?")
        with pytest.raises(SourceError) as error:
            take(store, slug, stream)
        assert SECRET not in str(error.value)
    assert SECRET not in caplog.text
    unbalanced = """select count(*) from raw.fetches
                    where rows_fetched <> rows_loaded + rows_duplicate + rows_rejected"""
    assert store.row(unbalanced) == (0,)
    for table in ("raw.fetches", "raw.rejects"):
        told = store.row(f"select count(*) from {table} as held where strpos(held::text, %s) > 0", SECRET)
        assert told == (0,), table


def test_every_feature_of_a_connected_source_receives_data(store: Store) -> None:
    transform(store.conn, store.catalog, store.settings, "contract")
    fed = {name for (name,) in store.conn.execute("select feature_id from features.latest_values")}
    wanted = {
        feature.id for slug in {slug for slug, _ in STREAMS} for feature in store.catalog.served_by(slug)
        if specs(store, slug, str(feature.stream))[0].name == feature.series
    }  # fmt: skip
    assert wanted <= fed
