"""Farside's pages over real HTTP: markup, when rows and numbers appear, revisions, refusals, faults."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.calendars import sessions
from feature_store.catalog.release import release_at
from feature_store.replay.convert import Reading, convert
from feature_store.replay.folder import check, parse_instant
from feature_store.replay.invented_farside import FUNDS
from tests.faults import add_fault, clear_faults
from tests.recordings import RECORDED, needs_recordings

from .conftest import GENERATED_AT
from .server import Wall, serving, write

PAGE = RECORDED / "farside" / "juanbarmo10_btc_2026-07.html"

IBIT = """ts,value,available_at
2024-02-28,1119.9,2024-02-29T01:10:00Z
2024-02-29,-44.5,2024-03-01T02:00:00Z
2024-03-01,10,2024-03-01T22:07:00Z
2024-03-01,12,2024-03-05T15:00:00Z
2024-03-04,0,2024-03-05T03:00:00Z
"""
FBTC = """ts,value,available_at
2024-02-29,1,2024-03-01T01:00:00Z
2024-03-01,-2.5,2024-03-02T09:30:00Z
2024-03-04,3,2024-03-05T14:20:00Z
"""


class Site:
    """A client of the four pages."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.base_url}/farside{path}", timeout=None, trust_env=False)

    def table(self, path: str = "/btc/") -> list[list[str]]:
        """The texts of all rows, padding aside."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        rows = re.findall(r"<tr.*?</tr>", answer.text, re.DOTALL)
        return [
            [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
            for row in rows
        ]

    def days(self, path: str = "/btc/") -> dict[str, list[str]]:
        return {label: cells for label, *cells in self.table(path) if re.fullmatch(r"\d\d \w{3} \d{4}", label)}


@pytest.fixture
def site(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Site:
    clear_faults(shared_server[0])
    write(folder, "IBIT", IBIT, "farside/btc")
    write(folder, "FBTC", FBTC, "farside/btc")
    return Site(shared_server[0])


def test_numbers_are_written_as_on_the_page(site: Site, wall: Wall) -> None:
    wall.turn("2024-03-04T12:00:00+00:00")
    assert site.days() == {
        "28 Feb 2024": ["1,119.9", "-", "1,119.9"],
        "29 Feb 2024": ["(44.5)", "1.0", "(43.5)"],
        "01 Mar 2024": ["10.0", "(2.5)", "7.5"],
    }
    text = site.get("/btc/").text
    assert (
        '<td><div align="right"><span class="tabletext"><span class="redFont">(44.5)</span></span></div></td>' in text
    )
    assert '<td class="zero-flow"><div align="right"><span class="tabletext">-</span></div></td>' in text


def test_a_row_appears_during_its_day_and_is_filled_fund_by_fund(site: Site, wall: Wall) -> None:
    wall.turn("2024-03-01T13:05:59+00:00")
    assert "01 Mar 2024" not in site.days()
    seen = []
    for instant in ("2024-03-01T13:06:00", "2024-03-01T22:06:59", "2024-03-01T22:07:00", "2024-03-02T09:30:00"):
        wall.turn(f"{instant}+00:00")
        seen.append(site.days()["01 Mar 2024"])
    assert seen == [["-", "-", "0.0"], ["-", "-", "0.0"], ["10.0", "-", "10.0"], ["10.0", "(2.5)", "7.5"]]


def test_a_correction_replaces_the_number_and_the_total(site: Site, wall: Wall) -> None:
    wall.turn("2024-03-05T14:59:59+00:00")
    assert site.days()["01 Mar 2024"] == ["10.0", "(2.5)", "7.5"]
    wall.turn("2024-03-05T15:00:00+00:00")
    assert site.days()["01 Mar 2024"] == ["12.0", "(2.5)", "9.5"]


def test_weekends_have_no_row_and_holidays_one_of_dashes(site: Site, folder: Path, wall: Wall) -> None:
    rows = "".join(f"2024-03-{day},1,2024-03-{day}T23:00:00Z\n" for day in (28, 29, 30, 31))
    write(folder, "IBIT", f"ts,value,available_at\n{rows}2024-04-01,1,2024-04-01T23:00:00Z\n", "farside/btc")
    (folder / "farside/btc/FBTC.csv").unlink()
    wall.turn("2024-04-02T12:00:00+00:00")
    assert site.days() == {
        "28 Mar 2024": ["1.0", "1.0"],
        "29 Mar 2024": ["-", "0.0"],  # Good Friday
        "01 Apr 2024": ["1.0", "1.0"],
    }


def test_a_fund_has_a_column_from_its_first_day_on_in_the_order_of_the_page(
    site: Site, folder: Path, wall: Wall
) -> None:
    write(folder, "ZZZZ", "ts,value,available_at\n2024-03-04,5,2024-03-05T01:00:00Z\n", "farside/btc")
    write(folder, "GBTC", "ts,value,available_at\n2024-02-29,7,2024-03-01T01:00:00Z\n", "farside/btc")
    wall.turn("2024-03-04T13:05:00+00:00")
    assert site.table()[1] == ["", "IBIT", "FBTC", "GBTC", ""]
    wall.turn("2024-03-04T13:06:00+00:00")
    assert site.table()[1] == ["", "IBIT", "FBTC", "GBTC", "ZZZZ", ""]
    assert site.days()["01 Mar 2024"] == ["10.0", "(2.5)", "-", "-", "7.5"]


def test_summaries_are_over_all_days_on_both_pages(site: Site, wall: Wall) -> None:
    wall.turn("2024-03-06T12:00:00+00:00")
    for path in ("/btc/", "/bitcoin-etf-flow-all-data/"):
        assert site.table(path)[-4:] == [
            ["Total", "1,087", "2", "1,089"],
            ["Average", "271.9", "0.5", "272.2"],
            ["Maximum", "1,119.9", "3.0", "1,119.9"],
            ["Minimum", "(44.5)", "(2.5)", "(43.5)"],
        ]


def test_the_page_of_ether_has_seeds(site: Site, folder: Path, wall: Wall) -> None:
    write(folder, "ETHE", "ts,value,available_at\n2024-07-23,-484.1,2024-07-24T01:00:00Z\n", "farside/eth")
    wall.turn("2024-07-24T12:00:00+00:00")
    table = site.table("/eth/")
    assert [row[0] for row in table[:4]] == ["", "", "Fee", "Seed"]
    assert table[3] == ["Seed", "9,199.3*", "9,199"]


def test_an_empty_folder_is_a_page_without_days(site: Site) -> None:
    assert site.days("/eth/") == {}
    assert site.get("/eth/").headers["Date"] == "Fri, 01 Mar 2024 12:00:00 GMT"


def test_the_page_is_html_that_says_so(site: Site) -> None:
    answer = site.get("/btc/")
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert answer.text.rstrip().endswith("</html>")


@pytest.mark.parametrize(("status", "said"), [(403, "Just a moment..."), (404, "Page not found"), (503, "Error 503")])
def test_refusals_are_pages(site: Site, status: int, said: str) -> None:
    add_fault(site.base_url, kind="status", status=status, series="Total")
    answer = site.get("/btc/")
    assert answer.status_code == status
    assert said in answer.text
    assert "<table" not in answer.text
    assert site.get("/btc/").status_code == 200
    assert site.get("/nowhere/").status_code == 404


# The generated folder


def files(folder: Path) -> dict[str, list[list[str]]]:
    paths = sorted((folder / "farside").glob("*/*.csv"))
    return {f"{path.parent.name}/{path.stem}": list(csv.reader(path.open()))[1:] for path in paths}


def test_funds_report_on_the_next_morning_but_for_a_few_days(generated: Path) -> None:
    flows = files(generated)
    assert set(flows) == {f"{stream}/{fund}" for stream, funds in FUNDS.items() for fund in funds}
    for stream in FUNDS:
        (spec,) = load_catalog().series("farside", stream)
        first: dict[str, dict[str, datetime]] = {}
        for name, rows in flows.items():
            if name.startswith(f"{stream}/"):
                check(generated / f"farside/{name}.csv")
                for ts, _, at in reversed(rows):
                    first.setdefault(ts, {})[name] = parse_instant(at)
        due = dict(zip(first, release_at(spec, [parse_instant(ts) for ts in first]), strict=True))
        late = {ts: [name for name, at in found.items() if at > due[ts]] for ts, found in first.items()}
        assert all(at > parse_instant(ts) + timedelta(hours=17) for ts, found in first.items() for at in found.values())
        assert {len(names) for names in late.values()} == {0, 1}
        assert 3 < sum(map(len, late.values())) < len(first) / 20
        corrected = sum(len(rows) - len({ts for ts, *_ in rows}) for name, rows in flows.items() if stream in name[:3])
        assert corrected > 10


def test_totals_lie_where_the_catalog_expects_them(generated: Path) -> None:
    for stream, first in (("btc", date(2024, 1, 11)), ("eth", date(2024, 7, 23))):
        (spec,) = load_catalog().series("farside", stream)
        low, high = load_catalog().feature(spec.feature_ids[0]).quality.expected_range
        totals: dict[str, Decimal] = {}
        for name, rows in files(generated).items():
            if name.startswith(stream):
                for ts, value in {ts: value for ts, value, _ in rows}.items():
                    totals[ts] = totals.get(ts, Decimal(0)) + Decimal(value)
        assert sorted(totals) == [f"{day.date}" for day in sessions("nyse", first, date(2027, 1, 21))]
        assert low / 2 < min(totals.values()) * 10**6 < 0 < max(totals.values()) * 10**6 < high / 2


def test_generating_later_only_adds_flows(generated: Path, extended: Path) -> None:
    before, after = files(generated), files(extended)
    for name, rows in before.items():
        assert after[name][: len(rows)] == rows
        assert after[name][len(rows)][0] > "2027-01-21"


def test_the_generated_pages_are_served(generated: Path) -> None:
    with serving(generated, Wall(GENERATED_AT.isoformat())) as url:
        site = Site(url)
        assert [len(site.days(path)) for path in ("/btc/", "/eth/")] == [14, 14]
        everything = site.days("/bitcoin-etf-flow-all-data/")
    assert list(everything)[:1] == ["11 Jan 2024"]
    assert list(everything)[-1] == "20 Nov 2026"  # GENERATED_AT is a Sunday
    for *flows, total in everything.values():
        numbers = [
            Decimal(cell.strip("()").replace(",", "")) * (-1 if "(" in cell else 1) for cell in flows if cell != "-"
        ]
        assert sum(numbers) == Decimal(total.strip("()").replace(",", "")) * (-1 if "(" in total else 1)


# Recorded and real


def spelling(text: str) -> str:
    """The table's markup without the white space between and around it, and the padding of its texts."""
    table = text[text.index("<table") : text.index("</table>")]
    return re.sub(r"[\s\u00a0]*(<[^>]*>)[\s\u00a0]*", r"\1", table)


def unnumbered(text: str) -> str:
    """Each number as `9`, or `9.9` where it has a decimal; a negative one too."""
    text = re.sub(r'<span class="redFont">\(([\d,.]+)\)</span>', r"\1", text)
    return re.sub(r"(?<=>)[\d,]+(\.\d)?(?=<)", lambda found: "9.9" if found[1] else "9", text)


def day_of(label: str) -> date:
    return datetime.strptime(label, "%d %b %Y").replace(tzinfo=UTC).date()


@needs_recordings
def test_the_recorded_page_comes_back_byte_for_byte(tmp_path: Path) -> None:
    told = PAGE.read_text()
    rows = re.findall(r"<tr.*?</tr>", told, re.DOTALL)
    texts = [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]
    tickers = texts[1][1:-1]
    days = [cells for cells in texts if re.fullmatch(r"\d\d \w{3} \d{4}", cells[0])]
    for at, ticker in enumerate(tickers):
        lines = ["ts,value,available_at"]
        for label, *cells in days:
            day = day_of(label)
            number = "" if cells[at] == "-" else cells[at].replace("(", "-").strip(")").replace(",", "")
            lines.append(f"{day},{number},{day + timedelta(days=1)}T01:00:00Z")
        write(tmp_path, ticker, "\n".join(lines) + "\n", "farside/btc")
    with serving(tmp_path, Wall("2026-07-23T17:30:00+00:00")) as url:
        mine = Site(url).get("/btc/").text
    start = re.compile(r"<tr[^>]*><td><span class=\"tabletext\">Total")
    (head, summaries), (my_head, my_summaries) = (
        (text[: found.start()], text[found.start() :])
        for text in (spelling(told), spelling(mine))
        if (found := start.search(text))
    )
    assert my_head == head
    # Of all days since 2024 the recording has 14: of its summaries the spelling is held, not the numbers.
    assert unnumbered(my_summaries) == unnumbered(summaries)


def test_a_real_history_by_fund_comes_back_whole(real_series: Path, tmp_path: Path) -> None:
    source = real_series / "etf_flows/btc_flows_by_fund_farside_2024_2025.csv"
    told = list(csv.DictReader(source.open()))
    tickers = [name for name in told[0] if name not in {"date", "Total"}]
    for ticker in tickers:
        convert(source, f"farside/btc/{ticker}", tmp_path, Reading(value=ticker))
    with serving(tmp_path, Wall("2026-01-01T00:00:00+00:00")) as url:
        days = Site(url).days("/bitcoin-etf-flow-all-data/")
    trading = {f"{day.date}" for day in sessions("nyse", date(2024, 1, 11), date(2025, 9, 3))}
    found = {
        f"{day_of(label)}": [Decimal(cell.strip("()").replace(",", "")) * (-1 if "(" in cell else 1) for cell in cells]
        for label, cells in days.items()
        if "-" not in cells
    }
    assert found == {
        row["date"]: [Decimal(row[name]) for name in (*tickers, "Total")] for row in told if row["date"] in trading
    }
    assert len(found) > 400
