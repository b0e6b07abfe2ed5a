"""Reading through the client is reading the query layer."""

from datetime import UTC, date, datetime, timedelta
from inspect import signature

import pyarrow as pa
import pytest
from feature_store_client import (
    BytesExpired,
    FeatureStore,
    InvalidRequest,
    NoPointYet,
    NotFound,
    Progress,
    UnknownFeature,
    backfilled_share,
)

from tests.api.served import ANSWER, GAS, LIQUIDITY, NOW, PRICE, VIX, Served, Told

from .conftest import Ask

LONG = "crypto/eth/price_usd"
"""A feature with more points than a page has."""
COUNT = 45_000
START = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _long(store: Served) -> None:
    minutes = (START + timedelta(minutes=number) for number in range(COUNT))
    store.append([Told(LONG, ts, 3000.0 + ts.minute, ts + timedelta(minutes=1)) for ts in minutes])


def test_the_catalog_is_searched_by_text_tag_entity_and_source(ask: Ask) -> None:
    [vix] = ask("get_catalog", search="vix", entity="macro", source="tradingview")
    assert (vix.id, vix.unit, vix.source.id, vix.source.class_) == (VIX, "index", "tradingview", "macro")
    assert vix.ttl_ms > 0
    assert "series" in vix.more
    assert ask("get_feature_spec", VIX) == vix
    assert {spec.id for spec in ask("get_catalog", tag="etf")} == {
        "crypto/etf/btc_net_flow_usd", "crypto/etf/eth_net_flow_usd",
    }  # fmt: skip
    assert len(ask("get_catalog")) > 20


def test_a_point_has_every_member_of_the_wire(ask: Ask, store: Served) -> None:
    told = store.get("/v1/latest", featureIds=PRICE).json()["points"][0]
    point = ask("get_latest_feature_point", PRICE)
    assert point.feature_id == PRICE
    assert point.ts == NOW - timedelta(minutes=61)
    assert point.ts.tzinfo is not None
    assert (point.value, point.confidence, point.meta) == (told["value"], 0.9, {"note": 'a, "b"'})
    assert point.evidence == told["evidence"]
    assert point.available_at == point.ts + timedelta(minutes=1)
    assert (point.available_basis, point.provisional, point.version) == ("schedule", False, 1)
    assert isinstance(point.stale, bool)
    assert ask("query_feature_points", PRICE, since=point.ts)[0] == point


def test_the_newest_points_come_in_the_order_asked_and_what_is_missing_is_named(ask: Ask) -> None:
    points = ask("get_latest_feature_points", [VIX, GAS, PRICE])
    assert [point.feature_id for point in points] == [VIX, PRICE]
    assert points.missing == [GAS]
    assert points.backfilled_share == 0.5
    assert len(ask("get_latest_feature_points")) == 4
    with pytest.raises(NoPointYet, match=GAS):
        ask("get_latest_feature_point", GAS)


def test_pages_together_are_what_the_query_layer_answers_at_once(ask: Ask, store: Served) -> None:
    told: list[Progress] = []
    table = ask("query_arrow", [VIX, LONG], progress=told.append)
    whole = store.layer.query([VIX, LONG])
    for name in ("feature_id", "ts", "value", "available_at", "available_basis", "ingested_at", "version"):
        assert table[name].to_pylist() == whole[name].to_pylist(), name
    assert [each.rows for each in told] == [20_000, 40_000, COUNT + 4]
    shares = [each.share or 0.0 for each in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert backfilled_share(table) == pytest.approx(4 / (COUNT + 4))

    batches = ask("iter_arrow_batches", [VIX, LONG])
    assert pa.Table.from_batches(batches).equals(table.replace_schema_metadata(None))


def test_a_limit_bounds_what_comes_over_pages(ask: Ask) -> None:
    points = ask("query_feature_points", LONG, limit=20_010)
    assert len(points) == 20_010
    assert points[-1].ts == START + timedelta(minutes=20_009)
    assert ask("query_feature_points", [LONG, VIX], limit=1).missing == []


def test_days_are_their_midnights_and_texts_are_read(ask: Ask) -> None:
    day = ask("query_feature_points", LONG, date(2024, 4, 2), date(2024, 4, 3))
    assert len(day) == 1440
    assert day[0].ts == datetime(2024, 4, 2, tzinfo=UTC)
    assert ask("query_feature_points", LONG, "2024-04-02", "2024-04-03T02:00:00+02:00") == day


def test_an_empty_range_is_an_empty_answer(ask: Ask) -> None:
    points = ask("query_feature_points", [VIX, PRICE], date(2000, 1, 1), date(2000, 1, 2))
    assert points == []
    assert (points.backfilled_share, points.missing) == (0.0, [VIX, PRICE])
    assert ask("query_arrow", VIX, until=date(2000, 1, 2)).num_rows == 0
    assert ask("iter_arrow_batches", VIX, until=date(2000, 1, 2)) == []
    assert list(ask("query_pandas", [VIX, PRICE], until=date(2000, 1, 2), wide=True).columns) == [VIX, PRICE]


def test_a_state_of_the_past_is_asked_for_as_of_as_stored_strict_and_by_vintage(ask: Ask) -> None:
    at = NOW - timedelta(hours=2) + timedelta(minutes=5)
    one = {"since": at, "until": at + timedelta(minutes=1)}
    assert [point.value for point in ask("query_feature_points", PRICE, **one)] == [1.5]
    before = ask("query_feature_points", PRICE, **one, as_of=NOW - timedelta(hours=1), strict=False)
    assert [point.value for point in before] == [67_005.1]
    assert [point.value for point in ask("query_feature_points", PRICE, **one, vintage="first")] == [67_005.1]
    assert ask("query_feature_points", PRICE, **one, as_stored=NOW - timedelta(hours=1)) == []
    known = {"as_of": datetime(2024, 6, 2, tzinfo=UTC)}
    assert ask("query_feature_points", VIX, **known) == []
    assert len(ask("query_feature_points", VIX, **known, strict=False)) == 4


def test_every_vintage_tells_of_what_was_withdrawn(ask: Ask) -> None:
    at = NOW - timedelta(hours=2) + timedelta(minutes=7)
    points = ask("query_feature_points", PRICE, at, at + timedelta(minutes=1), vintage="all")
    assert [point.value for point in points] == [67_007.1, None]


def test_pandas_gets_a_row_a_point_or_a_column_a_feature(ask: Ask) -> None:
    long = ask("query_pandas", [PRICE, VIX], date(2024, 5, 29))
    assert list(long["feature_id"].unique()) == [PRICE, VIX]
    assert str(long["ts"].dtype) == "datetime64[us, UTC]"
    wide = ask("query_pandas", [VIX, GAS], date(2024, 5, 29), wide=True)
    assert list(wide.columns) == [VIX, GAS]
    assert list(wide[VIX]) == [13.5, 13.5, 13.5]
    assert wide[GAS].isna().all()
    assert wide.attrs["backfilled_share"] == 1.0
    with pytest.raises(InvalidRequest, match="wide"):
        ask("query_pandas", VIX, wide=True, vintage="all")


def test_revisions_tell_every_version_in_order(ask: Ask) -> None:
    at = NOW - timedelta(hours=2) + timedelta(minutes=5)
    versions = ask("revisions", PRICE, ts=at)
    assert [version.value for version in versions] == [67_005.1, 1.5]
    assert versions[0].available_at < versions[1].available_at
    assert versions[0].meta == {"note": 'a, "b"'}
    assert len(ask("revisions", PRICE, since=at, until=at + timedelta(minutes=3))) == 5


def test_a_value_leads_to_its_inputs_and_to_the_bytes_it_came_from(ask: Ask) -> None:
    why = ask("explain", LIQUIDITY, datetime(2024, 5, 29, tzinfo=UTC))
    assert (why.value, [part.feature_id for part in why.inputs]) == (5.8e12, [VIX])
    assert why.inputs[0].available_at.tzinfo is not None
    assert why.assessment is None
    [source] = ask("explain", PRICE, NOW - timedelta(minutes=61)).sources
    assert source.fetched_at == NOW
    assert source.size_bytes == len(ANSWER)
    assert ask("download_payload", source.sha256) == ANSWER


def test_a_value_tells_why_its_confidence_is_not_that_at_ingest(ask: Ask, store: Served) -> None:
    ts = NOW - timedelta(minutes=70)
    store.assess(PRICE, ts, 0.25)
    why = ask("explain", PRICE, ts)
    assert (why.confidence, why.assessment.confidence_at_ingest) == (0.25, 0.9)
    assert (why.assessment.reasons, why.assessment.assessed_at.tzinfo) == ({"agreement": 0.5}, UTC)


def test_bytes_that_are_not_known_or_have_expired_are_errors_of_their_own(ask: Ask, store: Served) -> None:
    with pytest.raises(NotFound):
        ask("download_payload", "0" * 64)
    with pytest.raises(InvalidRequest, match="SHA-256"):
        ask("download_payload", "../catalog")
    store.conn.execute(
        """insert into raw.payloads (sha256, size_bytes, expired_at) values (repeat('1', 64), 3, ops.now())
           on conflict do nothing"""
    )
    store.conn.commit()
    with pytest.raises(BytesExpired):
        ask("download_payload", "1" * 64)


def test_an_unknown_feature_is_named(ask: Ask) -> None:
    for verb in ("get_feature_spec", "get_latest_feature_point", "query_feature_points", "query_arrow"):
        with pytest.raises(UnknownFeature, match="crypto/btc/pric"):
            ask(verb, "crypto/btc/pric?x=#1")


def test_a_verb_shows_its_signature_and_what_it_does() -> None:
    assert list(signature(FeatureStore.revisions).parameters) == ["self", "feature_id", "ts", "since", "until"]
    assert "Points" in str(signature(FeatureStore.query_feature_points).return_annotation)
    assert (FeatureStore.explain.__doc__ or "").startswith("Where a value comes from")
