"""FRED's behaviour, on small histories: vintages, clipping, refusals, paging, units."""

from datetime import date, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from .server import KEY, Fred, Wall, serving, write

# A value revised and put back, one withdrawn that returned, and one that stands.
LIFE = """ts,value,available_at
2024-01-03,10,2024-01-04T21:30:00Z
2024-01-03,11,2024-01-11T21:30:00Z
2024-01-03,10,2024-01-18T21:30:00Z
2024-01-10,20,2024-01-11T21:30:00Z
2024-01-10,,2024-01-18T21:30:00Z
2024-01-10,20,2024-01-25T21:30:00Z
2024-01-17,30.5,2024-01-18T21:30:00Z
2024-04-03,99,2024-04-04T20:30:00Z
"""
OPEN = "9999-12-31"


@pytest.fixture
def life(folder: Path) -> None:
    write(folder, "LIFE", LIFE)


@pytest.mark.usefixtures("life")
def test_every_change_is_an_interval_and_they_abut(fred: Fred) -> None:
    assert fred.all_rows("LIFE") == [
        ("2024-01-03", "2024-01-04", "2024-01-10", "10"),
        ("2024-01-03", "2024-01-11", "2024-01-17", "11"),
        ("2024-01-03", "2024-01-18", OPEN, "10"),
        ("2024-01-10", "2024-01-11", "2024-01-17", "20"),
        ("2024-01-10", "2024-01-18", "2024-01-24", "."),
        ("2024-01-10", "2024-01-25", OPEN, "20"),
        ("2024-01-17", "2024-01-18", OPEN, "30.5"),
    ]
    assert fred.vintages("LIFE") == ["2024-01-04", "2024-01-11", "2024-01-18", "2024-01-25"]


@pytest.mark.usefixtures("life")
def test_intervals_are_clipped_to_the_requested_period(fred: Fred) -> None:
    assert fred.rows("LIFE", realtime_start="2024-01-12", realtime_end="2024-01-20") == [
        ("2024-01-03", "2024-01-12", "2024-01-17", "11"),
        ("2024-01-03", "2024-01-18", "2024-01-20", "10"),
        ("2024-01-10", "2024-01-12", "2024-01-17", "20"),
        ("2024-01-10", "2024-01-18", "2024-01-20", "."),
        ("2024-01-17", "2024-01-18", "2024-01-20", "30.5"),
    ]


@pytest.mark.usefixtures("life")
def test_without_a_real_time_period_the_last_change_is_echoed(fred: Fred) -> None:
    body = fred.get("series/observations", "LIFE").json()
    assert (body["realtime_start"], body["realtime_end"]) == ("2024-01-25", "2024-01-25")
    assert [row["value"] for row in body["observations"]] == ["10", "20", "30.5"]


@pytest.mark.usefixtures("life")
def test_nothing_is_served_before_its_instant(fred: Fred, wall: Wall) -> None:
    wall.turn("2024-01-18T21:29:59+00:00")
    assert [row[0] for row in fred.all_rows("LIFE")] == ["2024-01-03", "2024-01-03", "2024-01-10"]
    wall.turn("2024-01-18T21:30:00+00:00")
    assert fred.all_rows("LIFE")[-1] == ("2024-01-17", "2024-01-18", OPEN, "30.5")
    wall.turn("2024-01-04T21:29:00+00:00")
    assert fred.refusal("series", "LIFE") == "Bad Request.  The series does not exist."


def test_real_time_dates_are_those_of_st_louis(fred: Fred, folder: Path) -> None:
    write(
        folder,
        "LATE",
        "ts,value,available_at\n2024-01-03,1,2024-01-05T05:59:00Z\n2024-01-04,2,2024-01-05T06:00:00Z",
    )
    assert fred.vintages("LATE") == ["2024-01-04", "2024-01-05"]


def test_of_several_values_of_one_day_the_last_counts(fred: Fred, folder: Path, wall: Wall) -> None:
    rows = [
        "2024-01-03,1,2024-01-04T15:00:00Z",
        "2024-01-03,2,2024-01-05T15:00:00Z",
        "2024-01-03,1,2024-01-05T18:00:00Z",
    ]
    write(folder, "TWICE", "\n".join(["ts,value,available_at", *rows]))
    wall.turn("2024-01-05T16:00:00+00:00")
    assert fred.vintages("TWICE") == ["2024-01-04", "2024-01-05"]
    wall.turn("2024-01-05T18:00:00+00:00")
    assert fred.all_rows("TWICE") == [("2024-01-03", "2024-01-04", OPEN, "1")]


def test_without_available_at_the_release_rule_dates_a_row(fred: Fred, folder: Path, wall: Wall) -> None:
    write(folder, "WALCL", "ts,value\n2023-11-15,7814691\n2023-11-22,7810838\n")
    assert fred.vintages("WALCL") == ["2023-11-16", "2023-11-24"]  # the 23rd was Thanksgiving
    wall.turn("2023-11-24T21:29:00+00:00")
    assert fred.vintages("WALCL") == ["2023-11-16"]


def test_more_than_2000_vintages_are_refused(fred: Fred, folder: Path) -> None:
    days = [date(2018, 1, 1) + timedelta(days=n) for n in range(2001)]
    write(folder, "DAILY", "\n".join(["ts,value,available_at", *(f"{d},{d.day},{d}T15:00:00Z" for d in days)]))
    whole = {"realtime_start": "1776-07-04", "realtime_end": OPEN}
    assert fred.refusal("series/observations", "DAILY", **whole) == (
        "Bad Request.  There are 2001 vintage dates in the specified real-time period: "
        "1776-07-04 to 9999-12-31.  This exceeds the maximum number of vintage dates allowed for this "
        "file type (2000)."
    )
    assert len(fred.vintages("DAILY")) == 2001
    assert len(fred.rows("DAILY", realtime_start="2018-01-02", realtime_end=OPEN)) == 2001


@pytest.mark.usefixtures("life")
@pytest.mark.parametrize("path", ["series/observations", "series/vintagedates", "series"])
def test_a_period_before_the_archive_is_refused(fred: Fred, path: str) -> None:
    message = fred.refusal(path, "LIFE", realtime_start="2023-01-01", realtime_end="2024-01-03")
    assert message.startswith("Bad Request.  The series does not exist in ALFRED but may exist in FRED.")


@pytest.mark.usefixtures("life")
def test_tomorrow_is_refused_but_the_open_end_is_not(fred: Fred, wall: Wall) -> None:
    wall.turn("2024-03-01T05:59:00+00:00")  # still February in St. Louis
    period = {"realtime_start": "2024-01-01", "realtime_end": "2024-03-01"}
    assert fred.refusal("series/observations", "LIFE", **period) == (
        "Bad Request.  Variable realtime_end can not be after today's date (2024-02-29)."
    )
    assert fred.rows("LIFE", realtime_start="2024-02-29", realtime_end=OPEN)


@pytest.mark.usefixtures("life")
def test_vintage_dates_give_the_states_of_these_days(fred: Fred) -> None:
    assert fred.rows("LIFE", vintage_dates="2024-01-12,2024-01-20,2024-02-01") == [
        ("2024-01-03", "2024-01-12", "2024-01-19", "11"),
        ("2024-01-03", "2024-01-20", "2024-02-01", "10"),
        ("2024-01-10", "2024-01-12", "2024-01-19", "20"),
        ("2024-01-10", "2024-01-20", "2024-01-31", "."),
        ("2024-01-10", "2024-02-01", "2024-02-01", "20"),
        ("2024-01-17", "2024-01-20", "2024-02-01", "30.5"),
    ]
    assert "does not exist in ALFRED" in fred.refusal("series/observations", "LIFE", vintage_dates="2024-01-03")


@pytest.mark.usefixtures("life")
def test_first_releases_leave_out_what_the_archive_began_with(fred: Fred) -> None:
    assert [(row[0], row[3]) for row in fred.all_rows("LIFE", output_type=4)] == [
        ("2024-01-10", "20"),
        ("2024-01-17", "30.5"),
    ]
    assert fred.refusal("series/observations", "LIFE", output_type=2).endswith("not supported by replay; 1 and 4 are.")


@pytest.mark.usefixtures("life")
def test_pages_put_together_are_the_whole(fred: Fred) -> None:
    whole = fred.all_rows("LIFE")
    pages = [fred.all_rows("LIFE", limit=2, offset=offset) for offset in range(0, 8, 2)]
    assert [row for page in pages for row in page] == whole
    assert fred.all_rows("LIFE", sort_order="desc") == whole[::-1]
    body = fred.get("series/observations", "LIFE", realtime_start="2024-01-01", realtime_end=OPEN, limit=2).json()
    assert (body["count"], body["offset"], body["limit"], len(body["observations"])) == (7, 0, 2, 2)
    assert fred.vintages("LIFE", limit=1, offset=2, sort_order="desc") == ["2024-01-11"]


@pytest.mark.usefixtures("life")
def test_observations_are_cut_to_the_requested_dates(fred: Fred) -> None:
    rows = fred.rows("LIFE", observation_start="2024-01-04", observation_end="2024-01-10")
    assert [row[0] for row in rows] == ["2024-01-10"]


@pytest.mark.usefixtures("life")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"api_key": ""}, "Bad Request.  Variable api_key has not been set."),
        (
            {"api_key": KEY.upper()},
            "Bad Request.  The value for variable api_key is not a 32 character alpha-numeric ",
        ),
        ({"series_id": "NOSUCH"}, "Bad Request.  The series does not exist."),
        (
            {"series_id": "../LIFE"},
            "Bad Request.  Invalid value for variable series_id.  Series IDs should be 25 or ",
        ),
        ({"limit": 0}, "Bad Request.  Variable limit is not between 1 and 100000."),
        ({"units": "pch"}, "Bad Request.  units other than lin are not supported by replay."),
        (
            {"realtime_start": "01/02/2024"},
            "Bad Request.  Variable realtime_start is not a valid YYYY-MM-DD date.",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_in_freds_words(fred: Fred, given: dict[str, str | int], message: str) -> None:
    asked = {"series": "LIFE", **given}
    series = str(asked.pop("series_id", asked.pop("series")))
    assert fred.refusal("series/observations", series, **{k: v for k, v in asked.items() if k != "series"}).startswith(
        message
    )


def test_a_refusal_comes_as_xml_unless_json_is_asked_for(fred: Fred) -> None:
    answer = fred.get("series", "NOSUCH", file_type="xml")
    assert answer.status_code == 400
    assert answer.text.endswith('<error code="400" message="Bad Request.  The series does not exist."/>\n')
    in_json = fred.get("series", "NOSUCH")
    assert in_json.text == '{"error_code":400,"error_message":"Bad Request.  The series does not exist."}'
    assert in_json.headers["Content-Type"].startswith("text/xml")


@pytest.mark.usefixtures("life")
def test_xml_is_the_default(fred: Fred) -> None:
    answer = fred.http.get("series/observations", params={"series_id": "LIFE", "api_key": KEY})
    assert answer.headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert '<observation realtime_start="2024-01-25" realtime_end="2024-01-25" date="2024-01-17" value="30.5"/>' in (
        answer.text
    )


@pytest.mark.usefixtures("life")
def test_an_unknown_path_is_not_found(fred: Fred) -> None:
    assert fred.get("series/nonsense", "LIFE").json() == {"error_code": 404, "error_message": "Not Found"}
    assert httpx.get(f"{fred.base_url}/nobody/here", timeout=None).status_code == 404


def test_a_rescaling_shows_as_periods_of_one_unit(fred: Fred, folder: Path) -> None:
    billions, millions = "Billions of U.S. Dollars", "Millions of U.S. Dollars"
    rows = [
        f"2024-01-03,741.2,2024-01-04T21:30:00Z,{billions}",
        f"2024-01-10,732.9,2024-01-11T21:30:00Z,{billions}",
        f"2024-01-03,741200,2024-01-18T21:30:00Z,{millions}",
        f"2024-01-10,732900,2024-01-18T21:30:00Z,{millions}",
        "2024-01-17,768111,2024-01-18T21:30:00Z,",
    ]
    write(folder, "WTREGEN", "\n".join(["ts,value,available_at,unit", *rows]))
    body = fred.get("series", "WTREGEN", realtime_start="2024-01-10", realtime_end=OPEN).json()
    assert [(s["realtime_start"], s["realtime_end"], s["units"], s["units_short"]) for s in body["seriess"]] == [
        ("2024-01-10", "2024-01-17", billions, "Bil. of U.S. $"),
        ("2024-01-18", OPEN, millions, "Mil. of U.S. $"),
    ]
    assert body["seriess"][0]["observation_end"] == "2024-01-10"
    assert body["seriess"][1]["last_updated"] == "2024-01-18 15:30:00-06"


def test_the_first_row_of_sp500_leaves_the_ten_year_window(fred: Fred, folder: Path, wall: Wall) -> None:
    write(folder, "SP500", "ts,value\n2014-03-03,1845.73\n2014-03-04,1873.91\n2024-02-28,5069.76\n")
    wall.turn("2024-03-04T12:00:00+00:00")
    assert [row[0] for row in fred.all_rows("SP500")] == ["2014-03-04", "2024-02-28"]
    wall.turn("2024-03-05T12:00:00+00:00")
    assert [row[0] for row in fred.all_rows("SP500")] == ["2024-02-28"]


def test_a_broken_file_is_an_error_that_names_the_place(fred: Fred, folder: Path) -> None:
    write(folder, "BROKEN", "ts,value\n2024-01-03,n/a\n")
    answer = fred.get("series/observations", "BROKEN")
    assert answer.status_code == 500
    assert "BROKEN.csv:2: column 'value' holds 'n/a'; allowed is a decimal number" in answer.text


def test_a_changed_file_is_read_again(fred: Fred, folder: Path) -> None:
    write(folder, "NEW", "ts,value,available_at\n2024-01-03,1,2024-01-04T00:00:00Z\n")
    assert len(fred.all_rows("NEW")) == 1
    write(
        folder,
        "NEW",
        "ts,value,available_at\n2024-01-03,1,2024-01-04T00:00:00Z\n2024-01-04,1,2024-01-05T00:00:00Z\n",
    )
    assert len(fred.all_rows("NEW")) == 2


def test_without_a_clock_the_server_says_why(folder: Path) -> None:
    def now() -> None:
        raise psycopg.OperationalError("connection refused")

    write(folder, "LIFE", LIFE)
    with serving(folder, now) as url:  # type: ignore[arg-type]
        answer = Fred(url).get("series", "LIFE")
        health = httpx.get(f"{url}/_health", timeout=None)
    assert (answer.status_code, health.status_code) == (503, 503)
    assert answer.text == "replay cannot tell the time: connection refused\n"
    assert answer.headers["Content-Type"].startswith("text/plain")
