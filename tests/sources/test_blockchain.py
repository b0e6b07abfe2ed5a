"""Blockchain.com's charts, and every trap in them, through the connector."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed
from feature_store.sources import blockchain
from feature_store.sources.budget import unlimited
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Http
from tests.replay.server import Wall, serving, write

from .upstream import wall

START = 1772409600
DAY = 86400
DAYS = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day) for day in range(5)]
UNITS = {"hash-rate": "Hash Rate TH/s", "total-bitcoins": "BTC", "market-price": "USD"}
STREAMS = {"hash-rate": "hash_rate", "total-bitcoins": "total_bitcoins", "market-price": "market_price"}


def payload(chart: str, body: str) -> Payload:
    context = {"series": chart}
    return Payload("charts", "http://x/charts", {}, 200, "application/json", body.encode(), 1, DAYS[-1], context)


def answer(chart: str, points: Sequence[Any] | str, **changes: Any) -> str:
    head = {"status": "ok", "name": "A chart", "unit": UNITS[chart], "period": "day", "description": "Of something."}
    kept = {name: value for name, value in {**head, **changes}.items() if value is not None}
    values = points if isinstance(points, str) else json.dumps(list(points))
    return f'{json.dumps(kept)[:-1]}, "values": {values}}}'


def read(chart: str, points: Sequence[Any] | str, **changes: Any) -> list[Row]:
    return list(blockchain.parse(payload(chart, answer(chart, points, **changes))))


def point(day: float = 0, y: Any = 9) -> dict[str, Any]:
    return {"x": int(START + DAY * day), "y": y}


def spec(chart: str) -> SeriesSpec:
    found = load_catalog().series("blockchain", STREAMS[chart])
    return next(series for series in found if series.name == chart)


def test_a_point_is_its_days_value_exactly() -> None:
    rows = read("hash-rate", f'[{{"x":{START},"y":901260643.8668482}},{{"x":{START + DAY},"y":188330}}]')
    assert [(row.series, row.ts) for row in rows] == [("hash-rate", DAYS[0]), ("hash-rate", DAYS[1])]
    assert [row.values for row in rows] == [{"value": Decimal("901260643.8668482")}, {"value": Decimal(188330)}]


@pytest.mark.parametrize(("spelt", "value"), [("8.88E8", 888_000_000), ("8.880543248996867E8", "888054324.8996867")])
def test_numbers_may_have_an_exponent(spelt: str, value: Any) -> None:
    (row,) = read("hash-rate", f'[{{"x":{START},"y":{spelt}}}]')
    assert row.values["value"] == Decimal(value)


@pytest.mark.parametrize("chart", UNITS)
@pytest.mark.parametrize("step", [2, 4])
def test_a_sampled_chart_is_malformed(chart: str, step: int) -> None:
    with pytest.raises(Malformed, match=f"{step} days apart: is it sampled"):
        read(chart, [point(step * at) for at in range(20)])
    with pytest.raises(Malformed, match="is it sampled"):
        read(chart, [point(), point(step)])


def test_a_day_may_be_absent_which_is_no_sampling() -> None:
    rows = read("hash-rate", [point(day) for day in (0, 1, 2, 3, 6, 7, 8)])
    assert [(row.ts - DAYS[0]).days for row in rows] == [0, 1, 2, 3, 6, 7, 8]


def test_every_point_is_asked_for_and_no_average(tmp_path: Path) -> None:
    write(tmp_path, "hash-rate", "ts,value\n2026-03-02,900000000.5\n2026-03-03,9e8\n", "blockchain/hash_rate")
    with (
        serving(tmp_path, Wall("2026-03-09T12:00:00+00:00")) as url,
        Http(f"{url}/blockchain", unlimited(), {}, wall) as http,
    ):
        since = datetime(2026, 3, 3, 17, tzinfo=UTC)
        (tail,) = blockchain.fetch(http, spec("hash-rate"), Window(since, datetime(2026, 3, 9, 12, tzinfo=UTC)))
        (everything,) = blockchain.fetch(http, spec("hash-rate"), Window(None, since))
    assert tail.endpoint == "charts/hash-rate"
    assert tail.params == {"start": "2026-03-03", "timespan": "7days", "sampled": "false", "format": "json"}
    assert everything.params == {"timespan": "all", "sampled": "false", "format": "json"}
    assert [row.ts for row in blockchain.parse(tail)] == [DAYS[1]]
    assert [row.values["value"] for row in blockchain.parse(everything)] == [Decimal("900000000.5"), 900_000_000]


def test_the_live_tail_reaches_over_days_that_are_estimated_anew() -> None:
    source = load_catalog().source("blockchain")
    assert all(source.streams[stream].overlap >= timedelta(days=5) for stream in STREAMS.values())


def test_the_sites_download_is_malformed() -> None:
    downloaded = {"metric1": "hash-rate", "hash-rate": [{"x": START * 1000, "y": 2.5}], "average": "7D"}
    with pytest.raises(Malformed, match="the site's download"):
        list(blockchain.parse(payload("hash-rate", json.dumps(downloaded))))
    with pytest.raises(Malformed, match="the site's download"):
        read("hash-rate", [point()], metric1="hash-rate")


def test_milliseconds_are_malformed() -> None:
    with pytest.raises(Malformed, match="seconds since 1970 were due"):
        read("hash-rate", [{"x": START * 1000, "y": 9}])


@pytest.mark.parametrize("x", [None, "1772409600", 1772409600.5, True, -1])
def test_an_instant_of_another_type_is_malformed(x: Any) -> None:
    with pytest.raises(Malformed, match="seconds since 1970 were due"):
        read("hash-rate", [{"x": x, "y": 9}])


@pytest.mark.parametrize("status", ["error", "not found", None, 0])
def test_a_status_that_is_not_ok_is_malformed(status: Any) -> None:
    body = answer("hash-rate", [point()]).replace('"ok"', json.dumps(status))
    with pytest.raises(Malformed, match="answered the status"):
        list(blockchain.parse(payload("hash-rate", body)))


@pytest.mark.parametrize("values", ["[]", "null", "{}", '"x"'])
def test_a_chart_without_values_is_malformed(values: str) -> None:
    with pytest.raises(Malformed, match="has no values"):
        read("hash-rate", values)


@pytest.mark.parametrize("name", ["status", "name", "unit", "period"])
def test_a_missing_field_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        read("hash-rate", [point()], **{name: None})


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_point_without_one_of_its_fields_is_malformed(name: str) -> None:
    broken = {key: value for key, value in point(1).items() if key != name}
    with pytest.raises(Malformed, match=f"lacks.*{name}"):
        read("hash-rate", [point(), broken])


def test_unknown_fields_are_a_warning_each(caplog: pytest.LogCaptureFixture) -> None:
    points = [{**point(day), "z": 1} for day in range(50)]
    assert len(read("hash-rate", points, license="new")) == 50
    assert caplog.text.count("unknown fields ['z']") == 1
    assert caplog.text.count("unknown fields ['license']") == 1


def test_the_description_may_be_absent() -> None:
    assert len(read("hash-rate", [point()], description=None)) == 1


@pytest.mark.parametrize(
    ("chart", "changes", "said"),
    [
        ("hash-rate", {"period": "week"}, "by 'week' instead of by day"),
        ("market-price", {"period": "hour"}, "by 'hour' instead of by day"),
        ("hash-rate", {"unit": "Hash Rate EH/s"}, "the unit 'Hash Rate EH/s' instead of TH/s"),
        ("market-price", {"unit": "EUR"}, "the unit 'EUR' instead of USD"),
    ],
)
def test_another_period_or_unit_is_malformed(chart: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(chart, [point()], **changes)


def test_a_price_of_zero_is_no_market_and_no_price() -> None:
    rows = read("market-price", [point(0, 0), point(1, 0.0), point(2, 0.0495)])
    assert [row.values["value"] for row in rows] == [None, None, Decimal("0.0495")]


def test_a_day_without_blocks_has_a_hash_rate_of_zero_and_null_is_not_known() -> None:
    assert [row.values["value"] for row in read("hash-rate", [point(0, 0), point(1, None)])] == [0, None]


def test_bitcoins_dated_by_blocks_count_as_of_the_days_last() -> None:
    points = [point(0.01, 100), point(0.5, 103.125), point(0.999, 106.25), point(1.2, 109.375), point(2.9, 112.5)]
    rows = read("total-bitcoins", points)
    assert [(row.ts, row.values["value"]) for row in rows] == [
        (DAYS[0], Decimal("106.25")),
        (DAYS[1], Decimal("109.375")),
        (DAYS[2], Decimal("112.5")),
    ]


def test_bitcoins_dated_by_blocks_may_be_sampled_too() -> None:
    with pytest.raises(Malformed, match="is it sampled"):
        read("total-bitcoins", [point(3.87 * at, 100 + at) for at in range(10)])


@pytest.mark.parametrize("chart", ["hash-rate", "market-price"])
def test_a_daily_chart_has_one_point_a_day_at_midnight(chart: str) -> None:
    with pytest.raises(Malformed, match="no midnight"):
        read(chart, [point(), point(1.5)])
    with pytest.raises(Malformed, match="more than one point"):
        read(chart, [point(), point(0.5)])


def test_points_out_of_order_are_malformed() -> None:
    with pytest.raises(Malformed, match="order of time"):
        read("hash-rate", [point(1), point(0)])


@pytest.mark.parametrize("y", ["9", True, [], {}])
def test_a_number_of_another_type_is_malformed(y: Any) -> None:
    with pytest.raises(Malformed, match="is no number"):
        read("hash-rate", [point(0, y)])
    with pytest.raises(Malformed, match="is no number"):
        read("hash-rate", f'[{{"x":{START},"y":NaN}}]')


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "5"])
def test_an_answer_that_is_no_object_is_malformed(content: str) -> None:
    with pytest.raises(Malformed, match="no object"):
        list(blockchain.parse(payload("hash-rate", content)))


def test_points_that_are_no_objects_are_malformed() -> None:
    with pytest.raises(Malformed, match="a point is no object"):
        read("hash-rate", [point(), [START, 9]])


def test_the_catalog_holds_a_day_until_it_is_whole() -> None:
    for chart in UNITS:
        rule = spec(chart).release
        assert rule.model_dump(exclude_none=True) == {"days": 2, "at": "00:00", "zone": "UTC"}
    assert spec("market-price").feature_ids == ()
