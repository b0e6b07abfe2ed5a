"""Farside's page of flows, and every trap in it, through the connector alone."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.calendars import sessions
from feature_store.catalog.contracts import SeriesSpec
from feature_store.catalog.release import release_at
from feature_store.errors import Malformed, Refused
from feature_store.replay.convert import Reading, convert
from feature_store.sources import farside
from feature_store.sources.budget import unlimited
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Http
from tests.recordings import RECORDED, needs_recordings
from tests.replay.server import Wall, serving, write

from .upstream import Answer, Upstream, answering, wall

REAL = RECORDED / "farside"
NOW = datetime(2026, 7, 23, 17, 30, tzinfo=UTC)
CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"


def cells(texts: Sequence[str], tag: str = "td") -> str:
    return "".join(f'<{tag}><div align="right"><span class="tabletext">{text}</span></div></{tag}>' for text in texts)


def row(label: str, *texts: str, tag: str = "td") -> str:
    label = f'<{tag}><span class="tabletext">{label}</span></{tag}>'
    marked = [f'<span class="redFont">{text}</span>' if text.startswith("(") else text for text in texts]
    return f"<tr>{label}{cells(marked, tag)}</tr>"


def page(*rows: str, tickers: Sequence[str] = ("AAA", "BBB", "CCC"), total: str = "") -> str:
    logos = "".join(f'<th><img src="/{ticker}.jpg" alt="Issuer"></th>' for ticker in tickers)
    head = (
        f"<tr><th></th>{logos}{cells(['Total'], 'th')}</tr>"
        + row("", *(f"\u00a0\u00a0 {ticker}" for ticker in tickers), total, tag="th")
        + row("Fee", *["0.25%"] * len(tickers), "", tag="th")
    )
    return f'<html><body><table class="etf"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></body></html>'


def payload(text: str, endpoint: str = "btc/") -> Payload:
    return Payload(endpoint, f"http://x/{endpoint}", {}, 200, "text/html; charset=UTF-8", text.encode(), 1, NOW)


def rows_of(*rows: str, **kinds: Any) -> list[Row]:
    return list(farside.parse(payload(page(*rows, **kinds))))


def only(*rows: str, **kinds: Any) -> dict[str, Any]:
    (read,) = rows_of(*rows, **kinds)
    return {**read.values, "funds": json.loads(str(read.values["funds"]), parse_float=Decimal)}


def partial(*rows: str, **kinds: Any) -> list[bool]:
    return [bool(read.values["is_partial"]) for read in rows_of(*rows, **kinds)]


def whole(days: int, *texts: str) -> list[str]:
    """Rows of one day after the other."""
    return [row(f"{1 + at:02d} Jul 2026", *texts) for at in range(days)]


def spec(stream: str = "btc") -> SeriesSpec:
    (found,) = load_catalog().series("farside", stream)
    return found


def test_a_day_is_dated_by_its_date_and_carries_its_funds_exactly() -> None:
    (read,) = rows_of(row("06 Jul 2026", "209.4", "9.7", "0.0", "219.1"))
    assert (read.series, read.ts) == ("Total", datetime(2026, 7, 6, tzinfo=UTC))
    assert read.values == {
        "value": Decimal("219.1"),
        "funds": '{"AAA": 209.4, "BBB": 9.7, "CCC": 0.0}',
        "is_partial": False,
    }


def test_parentheses_are_negative() -> None:
    read = only(row("06 Jul 2026", "(44.5)", "0.0", "0.0", "(44.5)"))
    assert (read["value"], read["funds"]["AAA"]) == (Decimal("-44.5"), Decimal("-44.5"))


def test_thousands_have_commas() -> None:
    assert only(row("06 Jul 2026", "1,119.9", "(2,000.0)", "0.0", "(880.1)"))["value"] == Decimal("-880.1")


def test_an_asterisk_is_a_footnote() -> None:
    read = only(row("06 Jul 2026", "9,199.3*", "(44.5)*", "0.0", "9,154.8*"))
    assert (read["value"], read["funds"]["BBB"]) == (Decimal("9154.8"), Decimal("-44.5"))


def test_a_dash_is_unknown_and_no_zero() -> None:
    read = only(row("06 Jul 2026", "1.0", "-", "0.0", "1.0"))
    assert read["funds"] == {"AAA": Decimal("1.0"), "BBB": None, "CCC": Decimal("0.0")}


def test_a_pending_row_of_dashes_with_a_total_of_zero_is_not_known() -> None:
    *_, read = rows_of(row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0"), row("23 Jul 2026", "-", "-", "-", "0.0"))
    assert read.values == {"value": None, "funds": '{"AAA": null, "BBB": null, "CCC": null}', "is_partial": False}


def test_a_day_without_flows_is_zero_and_known() -> None:
    assert only(row("22 Jul 2026", "0.0", "0.0", "0.0", "0.0"))["value"] == Decimal("0.0")


def test_a_holiday_is_not_known_and_has_a_release_all_the_same() -> None:
    (read,) = rows_of(row("03 Jul 2026", "-", "-", "-", "0.0"))
    assert read.values["value"] is None
    assert release_at(spec(), [read.ts]) == [datetime(2026, 7, 4, 12, tzinfo=UTC)]


def test_a_row_is_partial_while_a_living_fund_is_unknown() -> None:
    days = [row("21 Jul 2026", "1.0", "2.0", "3.0", "6.0"), row("22 Jul 2026", "-", "21.1", "-", "21.1")]
    assert partial(*days) == [False, True]


def test_a_fund_that_is_not_launched_makes_no_row_partial() -> None:
    days = [row("20 Jul 2026", "1.0", "2.0", "-", "3.0"), row("21 Jul 2026", "1.0", "2.0", "0.5", "3.5")]
    assert partial(*days) == [False, False]
    assert partial(*days, row("22 Jul 2026", "1.0", "2.0", "-", "3.0")) == [False, False, True]


def test_a_fund_without_a_number_for_five_sessions_is_closed() -> None:
    last = row("30 Jun 2026", "1.0", "2.0", "3.0", "6.0")
    assert partial(last, *whole(4, "1.0", "2.0", "-", "3.0")) == [False] + [True] * 4
    assert partial(last, *whole(5, "1.0", "2.0", "-", "3.0")) == [False] * 6
    gone = [last, *whole(5, "1.0", "2.0", "-", "3.0")]
    assert partial(*gone, row("10 Jul 2026", "1.0", "-", "-", "1.0")) == [False] * 6 + [True]


def test_days_that_are_not_known_do_not_close_a_fund() -> None:
    days = [row("30 Jun 2026", "1.0", "2.0", "3.0", "6.0"), *whole(6, "-", "-", "-", "0.0")]
    assert partial(*days, row("10 Jul 2026", "1.0", "2.0", "-", "3.0")) == [False] * 7 + [True]


def test_a_new_column_is_read_by_its_ticker_wherever_it_stands() -> None:
    read = only(row("22 Jul 2026", "4.0", "1.0", "2.0", "3.0", "10.0"), tickers=("NEW", "AAA", "BBB", "CCC"))
    assert read["funds"] == {"AAA": 1, "BBB": 2, "CCC": 3, "NEW": 4}


@pytest.mark.parametrize("tickers", [("AAA", "", "CCC"), ("AAA", "Blackrock", "CCC"), ("AAA", "AAA", "CCC"), ()])
def test_a_column_without_a_ticker_of_its_own_is_malformed(tickers: Sequence[str]) -> None:
    with pytest.raises(Malformed, match=r"funds and their total|numbers"):
        rows_of(row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0"), tickers=tickers)


def test_a_last_column_that_is_a_fund_is_malformed() -> None:
    with pytest.raises(Malformed, match="funds and their total"):
        rows_of(row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0"), total="DDD")


def test_summaries_are_no_days() -> None:
    days = rows_of(
        row("Seed", "9,199.3*", "-", "10.6", "9,210"),
        row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0"),
        row("Total", "60,809", "(27,416)", "426", "33,820"),
        row("Average", "96.1", "(43.3)", "5.8", "82.0"),
        row("Maximum", "1,119.9", "102.5", "30.6", "1,373.8"),
        row("Minimum", "(528.3)", "(642.5)", "(5.3)", "(1,113.7)"),
    )
    assert [read.ts.day for read in days] == [22]


def test_a_day_whose_total_is_not_the_sum_of_its_funds_is_malformed() -> None:
    assert only(row("22 Jul 2026", "1.0", "2.0", "3.0", "6.1"))["value"] == Decimal("6.1")
    with pytest.raises(Malformed, match=r"total of 22 Jul 2026 is 6\.2 and not the sum"):
        rows_of(row("22 Jul 2026", "1.0", "2.0", "3.0", "6.2"))
    with pytest.raises(Malformed, match="not the sum"):
        rows_of(row("22 Jul 2026", "-", "-", "-", "6.0"))


def test_the_row_of_totals_may_be_off_by_one_for_each_column() -> None:
    day = row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0")
    assert len(rows_of(day, row("Total", "60,809", "(27,416)", "426", "33,823"))) == 1
    with pytest.raises(Malformed, match="total of Total"):
        rows_of(day, row("Total", "60,809", "(27,416)", "426", "33,824"))


def test_a_day_that_is_there_twice_is_malformed() -> None:
    with pytest.raises(Malformed, match="2 days, of which 1 are different"):
        rows_of(*[row("22 Jul 2026", "1.0", "2.0", "3.0", "6.0")] * 2)


@pytest.mark.parametrize("label", ["2026-07-22", "22 July 2026", "22/07/2026", "31 Jun 2026"])
def test_a_date_in_another_form_is_malformed_and_no_summary(label: str) -> None:
    with pytest.raises(Malformed, match="is no day such as"):
        rows_of(row(label, "1.0", "2.0", "3.0", "6.0"))


@pytest.mark.parametrize("text", ["", "n/a", "(44.5", "44.5)", "1e3", "-5.0", "0..1", ","])
def test_what_is_neither_number_nor_dash_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="neither a number"):
        rows_of(row("22 Jul 2026", text, "2.0", "3.0", "6.0"))


def test_a_missing_cell_is_malformed() -> None:
    with pytest.raises(Malformed, match="has 3 numbers, with 3 funds"):
        rows_of(row("22 Jul 2026", "1.0", "2.0", "3.0"))


def test_a_page_without_days_is_malformed_and_not_empty() -> None:
    with pytest.raises(Malformed, match="0 days"):
        rows_of(row("Average", "1.0", "2.0", "3.0", "6.0"))


@pytest.mark.parametrize("text", [CHALLENGE, "", " ", "<!-- </html> -->", "{}", page().replace("etf", "other")])
def test_a_page_without_the_table_is_malformed_and_not_empty(text: str) -> None:
    with pytest.raises(Malformed, match="cut off or another one"):
        list(farside.parse(payload(text)))


def test_a_page_that_is_cut_off_is_malformed_wherever_it_ends() -> None:
    text = page(*whole(3, "1.0", "2.0", "3.0", "6.0"))
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(Malformed):
            list(farside.parse(payload(text[:end])))


# Fetching


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with answering() as source:
        yield source


def asked(source: Upstream, since: datetime | None, stream: str = "btc") -> list[str]:
    with Http(source.url, unlimited(), {}, wall) as http:
        return [answer.endpoint for answer in farside.fetch(http, spec(stream), Window(since, NOW))]


THREE_WEEKS = page(*[row(f"{day:02d} Jul 2026", "1.0", "2.0", "3.0", "6.0") for day in range(6, 24)])


def test_the_live_tail_asks_for_three_weeks(upstream: Upstream) -> None:
    upstream.usual = Answer(body=THREE_WEEKS)
    tail = NOW - load_catalog().source("farside").streams["btc"].overlap - timedelta(hours=1)
    assert asked(upstream, tail) == ["btc/"]
    assert asked(upstream, tail, "eth") == ["eth/"]


def test_what_lies_before_the_three_weeks_is_on_the_page_of_everything(upstream: Upstream) -> None:
    upstream.usual = Answer(body=THREE_WEEKS)
    assert asked(upstream, NOW - timedelta(days=17)) == ["btc/", "bitcoin-etf-flow-all-data/"]
    assert asked(upstream, None) == ["bitcoin-etf-flow-all-data/"]
    assert asked(upstream, None, "eth") == ["ethereum-etf-flow-all-data/"]


def test_a_challenge_with_status_200_is_refused_and_never_read(upstream: Upstream) -> None:
    upstream.usual = Answer(body=CHALLENGE)
    for since in (None, NOW - timedelta(days=1)):
        with pytest.raises(Refused, match="challenge") as refused:
            asked(upstream, since)
        assert refused.value.payload is not None


def test_a_challenge_with_status_403_is_refused(upstream: Upstream) -> None:
    upstream.usual = Answer(status=403, body=CHALLENGE)
    with pytest.raises(Refused, match="403"):
        asked(upstream, None)


def test_a_page_that_cannot_be_read_lands_before_fetching_fails(upstream: Upstream) -> None:
    upstream.usual = Answer(body="<html></html>")
    with Http(upstream.url, unlimited(), {}, wall) as http:
        pages = farside.fetch(http, spec(), Window(NOW - timedelta(days=1), NOW))
        assert next(pages).content == b"<html></html>"
        with pytest.raises(Malformed):
            next(pages)


# Recorded answers


@needs_recordings
def test_the_recorded_page_is_read_whole() -> None:
    days = list(farside.parse(payload((REAL / "juanbarmo10_btc_2026-07.html").read_text())))
    assert len(days) == 14
    assert (days[0].ts, days[0].values["value"]) == (datetime(2026, 7, 6, tzinfo=UTC), Decimal("265.7"))
    assert sum(read.values["value"] for read in days[:-1]) == Decimal("772.0")  # type: ignore[misc]
    assert {len(json.loads(str(read.values["funds"]))) for read in days} == {12}
    assert (days[-1].ts.day, days[-1].values["value"]) == (23, None)
    assert not any(read.values["is_partial"] for read in days)


@needs_recordings
def test_the_recorded_challenge_is_recognised(upstream: Upstream) -> None:
    upstream.usual = Answer(body=(REAL / "cloudflare_challenge_eth_2026-02-11.html").read_text())
    with pytest.raises(Refused, match="challenge"):
        asked(upstream, None)


def read_back(folder: Path, stream: str) -> dict[str, Row]:
    """Everything that replay's page says of a folder, by day."""
    at = Wall("2026-10-01T00:00:00+00:00")
    with serving(folder, at) as url, Http(f"{url}/farside", unlimited(), {}, wall) as http:
        pages = list(farside.fetch(http, spec(stream), Window(None, at())))
    return {f"{read.ts.date()}": read for answer in pages for read in farside.parse(answer)}


def test_the_real_flows_of_bitcoin_come_out_equal(real_series: Path, tmp_path: Path) -> None:
    table = real_series / "etf_flows/btc_flows_by_fund_farside_2024_2025.csv"
    told = {line["date"]: line for line in csv.DictReader(table.open())}
    for fund in next(iter(told.values())).keys() - {"date", "Total"}:
        convert(table, f"farside/btc/{fund}", tmp_path, Reading(value=fund))
    held_against(told, read_back(tmp_path, "btc"), lambda line: Decimal(line["Total"]), lambda line: line)


def test_the_real_flows_of_ether_come_out_equal(real_series: Path, tmp_path: Path) -> None:
    content = json.loads((real_series / "etf_flows/eth_flows_by_fund_farside.json").read_text(), parse_float=Decimal)
    told = {line["date"]: line for line in content["daily_flows"]}
    for fund in content["metadata"]["tickers"]:
        lines = [f"{day},{line['flows'][fund]}" for day, line in told.items()]
        write(tmp_path, fund, "\n".join(["ts,value", *lines]) + "\n", "farside/eth")
    held_against(told, read_back(tmp_path, "eth"), lambda line: line["total"], lambda line: line["flows"])


def held_against(
    told: dict[str, Any],
    found: dict[str, Row],
    total: Callable[[Any], Decimal],
    flows: Callable[[Any], dict[str, Any]],
) -> None:
    """Every session of the table is there with its total and its funds, none partial; other days are not known."""
    trading = {f"{day.date}" for day in sessions("nyse", *(date.fromisoformat(end) for end in (min(told), max(told))))}
    assert len(trading & told.keys()) > 400
    for day in trading & told.keys():
        funds = json.loads(str(found[day].values["funds"]), parse_float=Decimal)
        assert found[day].values["value"] == total(told[day])
        assert funds == {fund: Decimal(str(flows(told[day])[fund])) for fund in funds}
        assert found[day].values["is_partial"] is False
    assert {read.values["value"] for day, read in found.items() if day not in trading} == {None}
