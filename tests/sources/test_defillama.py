"""DefiLlama's answers, and every trap in them, through the connector; how it fails, over real HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused, Retriable
from feature_store.sources import defillama
from feature_store.sources.budget import unlimited
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Http

from .upstream import Answer, Upstream, answering, wall

NOON = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 2, tzinfo=UTC)
SERIES = {"stablecoincharts": "all", "protocols": "Dexs", "historical_chain_tvl": "Ethereum"}


def payload(stream: str, content: Any) -> Payload:
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    context = {"stream": stream, "series": SERIES[stream]}
    return Payload("path", "http://x/path", {}, 200, "application/json", body, 1, NOON, context)


def stablecoins(*rows: dict[str, Any] | str) -> list[Row]:
    text = ",".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return list(defillama.parse(payload("stablecoincharts", f"[{text}]")))


def tvl(*rows: Any) -> list[Row]:
    return list(defillama.parse(payload("historical_chain_tvl", list(rows))))


def dexs(*rows: Any) -> Row:
    (row,) = defillama.parse(payload("protocols", list(rows)))
    return row


def chart(date: Any = "1772409600", **changes: Any) -> dict[str, Any]:
    pegs = {"totalCirculating": {"peggedUSD": 1000}, "totalCirculatingUSD": {"peggedUSD": 999}}
    return {"date": date, **pegs, **changes}


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def spec(stream: str) -> SeriesSpec:
    (found,) = load_catalog().series("defillama", stream)
    return found


def test_dates_may_be_strings_or_integers() -> None:
    assert [row.ts for row in stablecoins(chart("1772409600"), chart(1772496000))] == [DAY, DAY.replace(day=3)]
    assert [row.ts for row in tvl({"date": "1772409600", "tvl": 1}, {"date": 1772496000, "tvl": 1})] == [
        DAY,
        DAY.replace(day=3),
    ]


@pytest.mark.parametrize("date", ["2026-03-02", "", "-5", None, 1772409600.0, True, 1772409600000, "1" * 30, 0])
def test_a_date_that_is_no_count_of_seconds_is_malformed(date: Any) -> None:
    for read in (lambda: stablecoins(chart(date)), lambda: tvl({"date": date, "tvl": 1})):
        with pytest.raises(Malformed, match="is no date: seconds since 1970 were due"):
            read()


def test_three_shapes_of_rows_in_one_answer_are_read_alike(caplog: pytest.LogCaptureFixture) -> None:
    with_unreleased = chart("1772496000", totalUnreleased={"peggedUSD": 7})
    last = chart("1772582400", totalUnreleased={}, totalMintedUSD={"peggedUSD": 0}, totalBridgedToUSD={"peggedUSD": 0})
    rows = stablecoins(chart(), with_unreleased, last)
    assert [row.values["total_circulating_usd"] for row in rows] == [999, 999, 999]
    assert not caplog.text


def test_dollars_are_summed_over_the_pegs_exactly() -> None:
    usd = '{"peggedUSD":306409871214.76,"peggedEUR":769084242.94,"peggedUAH":3134.7,"peggedNGN":58409}'
    (row,) = stablecoins(f'{{"date":"1772409600","totalCirculating":{{"peggedUSD":5}},"totalCirculatingUSD":{usd}}}')
    assert row.values["total_circulating_usd"] == Decimal("307179017001.40")
    assert row.values["circulating_usd"] == (
        '{"peggedEUR": 769084242.94, "peggedNGN": 58409, "peggedUAH": 3134.7, "peggedUSD": 306409871214.76}'
    )


def test_units_are_kept_and_never_added() -> None:
    yen = {"peggedUSD": 1000, "peggedJPY": 24_000_000_000}
    (row,) = stablecoins(chart(totalCirculating=yen))
    assert row.values["total_circulating_usd"] == 999
    assert row.values["circulating"] == '{"peggedJPY": 24000000000, "peggedUSD": 1000}'


def test_a_peg_may_be_absent_from_a_row_and_from_its_dollars() -> None:
    early = chart("1772323200")
    later = chart(
        totalCirculating={"peggedUSD": 1000, "peggedVAR": 2, "peggedEUR": 10},
        totalCirculatingUSD={"peggedUSD": 999, "peggedEUR": 12},
    )
    assert [row.values["total_circulating_usd"] for row in stablecoins(early, later)] == [999, 1011]


@pytest.mark.parametrize("usd", [{}, {"peggedEUR": 12}, {"peggedUSD": None}, {"peggedUSD": 999, "peggedEUR": None}])
def test_without_the_dollars_or_with_a_null_the_sum_is_not_known(usd: dict[str, Any]) -> None:
    (row,) = stablecoins(chart(totalCirculatingUSD=usd))
    assert row.values["total_circulating_usd"] is None
    assert json.loads(str(row.values["circulating_usd"])) == usd


def test_nothing_in_circulation_is_zero_where_the_source_says_so() -> None:
    (row,) = stablecoins(chart(totalCirculatingUSD={"peggedUSD": 0}))
    assert row.values["total_circulating_usd"] == 0


def test_a_rewritten_history_gives_every_row_again() -> None:
    days = [chart(str(1772409600 + 86400 * day)) for day in range(300)]
    rewritten = [{**row, "totalCirculatingUSD": {"peggedUSD": 1004}} for row in days]
    assert [row.ts for row in stablecoins(*rewritten)] == [row.ts for row in stablecoins(*days)]
    assert {row.values["total_circulating_usd"] for row in stablecoins(*rewritten)} == {Decimal(1004)}


def test_a_stablecoin_row_covers_the_day_that_starts_at_its_date() -> None:
    (row,) = stablecoins(chart())
    assert row.ts == DAY
    assert (spec("stablecoincharts").label, spec("stablecoincharts").period) == ("start", "P1D")
    with pytest.raises(Malformed, match="no midnight"):
        stablecoins(chart("1772445600"))


def test_a_tvl_row_is_a_snapshot_and_the_newest_keeps_the_instant_it_states() -> None:
    assert spec("historical_chain_tvl").label == "instant"
    rows = tvl({"date": 1772409600, "tvl": 5.25}, {"date": 1772452823, "tvl": 5.5})
    assert [row.ts for row in rows] == [DAY, datetime(2026, 3, 2, 12, 0, 23, tzinfo=UTC)]
    assert [row.values["tvl"] for row in rows] == [Decimal("5.25"), Decimal("5.5")]


def test_a_null_tvl_is_not_known_and_never_zero() -> None:
    assert [row.values["tvl"] for row in tvl({"date": 1772409600, "tvl": None})] == [None]


def test_protocols_are_summed_over_their_category_as_of_the_answer() -> None:
    row = dexs(
        {"name": "One", "category": "Dexs", "tvl": 100.10, "chainTvls": {}},
        {"name": "Two", "category": "Dexs", "tvl": 50},
        {"name": "Bank", "category": "Lending", "tvl": 1e9},
        {"name": "None", "category": None, "tvl": 7},
    )
    assert (row.series, row.ts) == ("Dexs", NOON)
    assert row.values == {"tvl": Decimal("150.1"), "protocols": 2, "unknown": 0}


def test_a_protocol_whose_tvl_is_null_or_absent_is_counted_as_unknown() -> None:
    row = dexs({"category": "Dexs", "tvl": 100}, {"category": "Dexs", "tvl": None}, {"category": "Dexs"})
    assert row.values == {"tvl": 100, "protocols": 1, "unknown": 2}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"category": "Lending", "tvl": 1}], "no protocol has the category 'Dexs'"),
        ([{"category": "Dexs", "tvlUsd": 1}], "no protocol with a tvl has the category 'Dexs'"),
        ([{"category": "Dexs", "tvl": 1}, {"kind": "Dexs", "tvl": 1}], "lacks .*'category'"),
        ([{"category": "Dexs", "tvl": "1"}], "'1' is no number"),
    ],
)
def test_protocols_without_what_is_summed_are_malformed(rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        dexs(*rows)


@pytest.mark.parametrize("name", ["date", "totalCirculating", "totalCirculatingUSD"])
def test_a_missing_field_of_a_chart_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        stablecoins(chart("1772323200"), without(chart(), name))


@pytest.mark.parametrize("name", ["date", "tvl"])
def test_a_missing_field_of_a_tvl_row_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        tvl({"date": 1772409600, "tvl": 1}, without({"date": 1772496000, "tvl": 1}, name))


def test_unknown_fields_of_thousands_of_rows_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    rows = [chart(str(1772409600 + 86400 * day), totalNew={}) for day in range(100)]
    assert len(stablecoins(*rows)) == 100
    assert caplog.text.count("unknown fields ['totalNew']") == 1


@pytest.mark.parametrize("value", ["999", True, [], {}])
def test_a_number_of_another_type_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed, match="is no number"):
        stablecoins(chart(totalCirculatingUSD={"peggedUSD": value}))
    with pytest.raises(Malformed, match="is no number"):
        tvl({"date": 1772409600, "tvl": value})


def test_not_a_number_is_no_number() -> None:
    with pytest.raises(Malformed, match="nan is no number"):
        list(defillama.parse(payload("historical_chain_tvl", '[{"date": 1772409600, "tvl": NaN}]')))


def test_pegs_that_are_no_object_are_malformed() -> None:
    with pytest.raises(Malformed, match="instead of pegs"):
        stablecoins(chart(totalCirculatingUSD=999))


@pytest.mark.parametrize("stream", SERIES)
def test_an_empty_list_is_a_renamed_series_and_malformed(stream: str) -> None:
    with pytest.raises(Malformed, match=f"empty list: is '{SERIES[stream]}' renamed"):
        list(defillama.parse(payload(stream, [])))


@pytest.mark.parametrize("stream", SERIES)
@pytest.mark.parametrize("content", ['{"message": "Internal error"}', "null", '"text"', "[1]", "[null]", "[[]]"])
def test_an_answer_without_rows_is_malformed(stream: str, content: str) -> None:
    with pytest.raises(Malformed, match=r"no list but|no object but"):
        list(defillama.parse(payload(stream, content)))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with answering() as source:
        yield source


def fetched(upstream: Upstream, stream: str) -> list[Payload]:
    with Http(upstream.url, unlimited(), {}, wall) as http:
        return list(defillama.fetch(http, spec(stream), Window(NOON, NOON)))


def test_everything_is_asked_for_at_once_whatever_the_window(upstream: Upstream) -> None:
    upstream.usual = Answer(body="[]")
    (stable,), (locked,), (all_,) = (fetched(upstream, stream) for stream in SERIES)
    paths = [answer.url.removeprefix(upstream.url) for answer in (stable, locked, all_)]
    assert paths == ["/stablecoincharts/all", "/protocols", "/v2/historicalChainTvl/Ethereum"]
    assert stable.context == {"stream": "stablecoincharts", "series": "all"}


def test_a_chain_with_a_space_is_part_of_the_path(upstream: Upstream) -> None:
    optimism = spec("historical_chain_tvl").model_copy(update={"name": "OP Mainnet"})
    with Http(upstream.url, unlimited(), {}, wall) as http:
        (answer,) = defillama.fetch(http, optimism, Window(None, NOON))
    assert answer.url == f"{upstream.url}/v2/historicalChainTvl/OP%20Mainnet"


@pytest.mark.parametrize("body", ["404 page not found", '{"message": "protocol is not in our database"}'])
@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_chain_is_refused_with_the_sources_words(upstream: Upstream, status: int, body: str) -> None:
    upstream.usual = Answer(status, body=body)
    with pytest.raises(Refused, match=r"page not found|not in our database"):
        fetched(upstream, "historical_chain_tvl")
    assert len(upstream.arrivals) == 1


def test_a_page_of_a_failing_server_is_asked_for_again(upstream: Upstream) -> None:
    upstream.usual = Answer(502, body="<html><body>502 Bad Gateway</body></html>")
    with pytest.raises(Retriable, match="502"):
        fetched(upstream, "stablecoincharts")
    assert len(upstream.arrivals) > 1


def test_a_page_with_status_200_is_malformed() -> None:
    with pytest.raises(Malformed, match="HTML where JSON was due"):
        list(defillama.parse(payload("stablecoincharts", "<html><body>Just a moment...</body></html>")))
