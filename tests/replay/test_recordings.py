"""Replay's answers against recorded ones of FRED: keys, types, order, headers; for GDP every byte."""

import gzip
import json
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from feature_store.replay.convert import Reading, convert
from tests.recordings import REAL, needs_recordings

from .server import KEY, Fred, Wall, serving, write

CASSETTES = REAL / "recorded" / "fred" / "pyfredapi"
OBSERVATIONS, METADATA = "series_pandas_", "series_info"
STEADY = (
    "Cache-Control Connection Content-Encoding Content-Type Date Expires Pragma Server Strict-Transport-Security Vary"
)
ALL_RELEASES, VINTAGES = "series_all_releases_pandas_", "series_vintagedates"

pytestmark = needs_recordings


def recorded(name: str) -> list[dict[str, Any]]:
    return list(yaml.load((CASSETTES / f"test_get_{name}.yaml").read_text(), yaml.CSafeLoader)["interactions"])


@pytest.fixture(scope="module")
def gdp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gdp")
    reading = Reading(unit="Billions of Dollars")
    convert(REAL / "series/alfred/GDP_all_releases.csv", "fred/observations/GDP", folder, reading)
    return folder


def replayed(folder: Path, interaction: dict[str, Any]) -> httpx.Response:
    """The recorded request, asked of replay at the recorded time."""
    when = parsedate_to_datetime(interaction["response"]["headers"]["Date"][0])
    url = httpx.URL(interaction["request"]["uri"]).copy_add_param("api_key", KEY)
    with serving(folder, lambda: when) as base:
        return httpx.get(base + url.raw_path.decode(), headers={"Accept-Encoding": "gzip"}, timeout=None)


def shape(content: object) -> object:
    """Keys in their order, and types; of a list the shape of its first item."""
    if isinstance(content, dict):
        return [(name, shape(value)) for name, value in content.items()]
    if isinstance(content, list):
        return [shape(item) for item in content[:1]]
    return type(content)


@pytest.mark.parametrize("name", [OBSERVATIONS, ALL_RELEASES, VINTAGES, METADATA])
@pytest.mark.parametrize("at", [0, -1])
def test_keys_types_order_and_headers_are_the_recorded_ones(gdp: Path, name: str, at: int) -> None:
    interaction = recorded(name)[at]
    answer, told = replayed(gdp, interaction), interaction["response"]
    assert answer.status_code == told["status"]["code"]
    assert shape(answer.json()) == shape(json.loads(told["body"]["string"]))
    assert {n.lower() for n in answer.headers} == {n.lower() for n in told["headers"]}
    for header in STEADY.split():
        assert answer.headers[header] == told["headers"][header][0]


@pytest.mark.parametrize("name", [OBSERVATIONS, ALL_RELEASES, VINTAGES])
@pytest.mark.parametrize("at", [0, -1])
def test_gdp_is_answered_byte_for_byte(gdp: Path, name: str, at: int) -> None:
    interaction = recorded(name)[at]
    assert replayed(gdp, interaction).text == interaction["response"]["body"]["string"]


@pytest.mark.parametrize("at", [0, -1])
def test_the_description_of_gdp_agrees_where_it_is_not_prose(gdp: Path, at: int) -> None:
    interaction = recorded(METADATA)[at]
    answer, told = replayed(gdp, interaction).json(), json.loads(interaction["response"]["body"]["string"])
    prose = {
        "title",
        "seasonal_adjustment",
        "seasonal_adjustment_short",
        "popularity",
        "notes",
        "last_updated",
    }
    mine, theirs = answer.pop("seriess")[0], told.pop("seriess")[0]
    assert answer == told
    assert {k: v for k, v in mine.items() if k not in prose} == {k: v for k, v in theirs.items() if k not in prose}
    assert mine["last_updated"][10:].count(":") == theirs["last_updated"][10:].count(":")
    assert mine["last_updated"][-3:] == theirs["last_updated"][-3:]  # the bare hour of offset


def test_first_releases_are_those_that_the_archive_saw_being_published(gdp: Path) -> None:
    with serving(gdp, Wall("2024-11-03T14:33:00+00:00")) as url:
        rows = Fred(url).all_rows("GDP", output_type=4)
    assert (len(rows), rows[0][0]) == (132, "1991-10-01")


def test_vixcls_over_a_window_has_the_recorded_shape(tmp_path: Path) -> None:
    path = REAL / "recorded/fred/atlas/2026-08-22/fred_vixcls.json.gz"
    told = gzip.decompress(path.read_bytes()).decode()
    content = json.loads(told)
    lines = [f"{row['date']},{row['value'] if row['value'] != '.' else ''}" for row in content["observations"]]
    write(tmp_path, "VIXCLS", "\n".join(["ts,value", *lines]))
    with serving(tmp_path, lambda: datetime.fromisoformat("2026-08-22T00:44:08+00:00")) as url:
        answer = Fred(url).get("series/observations", "VIXCLS", observation_start=content["observation_start"])
    assert answer.text == told.strip()
