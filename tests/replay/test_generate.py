import csv
import json
import shutil
from pathlib import Path

import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.release import release_at
from feature_store.errors import ReplayError
from feature_store.replay.folder import check, parse_instant
from feature_store.replay.generate import SOURCES, generate
from feature_store.replay.invented_fred import FRED

from .conftest import GENERATED_AT as NOW
from .server import Fred, Wall, serving

Table = list[dict[str, str]]


def table(folder: Path, series: str) -> Table:
    with (folder / f"fred/observations/{series}.csv").open() as file:
        return list(csv.DictReader(file))


def lives(rows: Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["ts"], []).append(row["value"])
    return found


def test_every_series_reaches_eight_years_back_and_sixty_days_ahead(generated: Path) -> None:
    for series in FRED:
        rows = table(generated, series)
        assert check(generated / f"fred/observations/{series}.csv") == len(rows)
        assert rows[0]["ts"] < "2018-12-01"
        assert "2027-01-01" < rows[-1]["ts"] <= "2027-01-21"
    assert json.loads((generated / "replay.json").read_text()) == {
        "seed": 7,
        "start": "2018-11-22",
        "horizon": "2027-01-21",
        "minutes_start": "2026-10-23",
        "minutes_horizon": "2026-12-22",
    }


def test_first_values_are_published_by_the_release_rule(
    generated: Path,
) -> None:
    specs = {spec.name: spec for spec in load_catalog().series("fred", "observations")}
    for series in FRED:
        rows = table(generated, series)
        first = {row["ts"]: parse_instant(row["available_at"]) for row in reversed(rows)}
        days = [parse_instant(ts) for ts in first]
        assert list(first.values()) == release_at(specs[series], days)


def test_levels_are_those_of_the_real_series(generated: Path) -> None:
    bounds = {
        "WALCL": (3.5e6, 9.2e6),
        "RRPONTSYD": (0, 2700),
        "SP500": (2000, 9000),
        "VIXCLS": (8, 110),
        "DTWEXBGS": (105, 135),
    }
    for series, (low, high) in bounds.items():
        values = [float(row["value"]) for row in table(generated, series) if row["value"]]
        assert low <= min(values) <= max(values) <= high


def test_some_values_go_back_and_some_vanish_for_a_while(generated: Path) -> None:
    histories = lives(table(generated, "WALCL")).values()
    assert any(len(h) == 3 and h[0] == h[2] != h[1] and h[1] for h in histories)
    assert any(len(h) == 3 and h[0] == h[2] and not h[1] for h in histories)


def test_wtregen_was_restated_in_millions(generated: Path) -> None:
    rows = table(generated, "WTREGEN")
    before = [row for row in rows if row["available_at"] < "2025-10-02T20:30:00Z"]
    after = [row for row in rows if row["available_at"] >= "2025-10-02T20:30:00Z"]
    assert {row["unit"] for row in before} == {"Billions of U.S. Dollars"}
    assert {row["unit"] for row in after} == {"Millions of U.S. Dollars"}
    restated = {row["ts"]: row["value"] for row in after if row["available_at"] == "2025-10-02T20:30:00Z"}
    held = {row["ts"]: row["value"] for row in before}
    assert set(restated) >= set(held)
    assert all(abs(float(restated[ts]) - 1000 * float(held[ts])) <= 5.01 for ts in held if held[ts])


def test_the_same_seed_and_start_give_the_same_bytes(generated: Path, tmp_path: Path) -> None:
    generate(tmp_path, NOW)
    paths = [path.relative_to(generated) for path in generated.glob("*/*/*.csv")]
    assert {path.parts[0] for path in paths} == set(SOURCES)
    assert {path.relative_to(tmp_path) for path in tmp_path.glob("*/*/*.csv")} == set(paths)
    for path in paths:
        assert (tmp_path / path).read_bytes() == (generated / path).read_bytes()
    generate(tmp_path / "other", NOW, seed=8)
    assert table(tmp_path / "other", "WALCL") != table(generated, "WALCL")


def test_generating_later_only_adds(generated: Path, extended: Path) -> None:
    for series in FRED:
        before, after = table(generated, series), table(extended, series)
        assert after[: len(before)] == before
        assert after[len(before)]["ts"] > "2027-01-21"
    for path in sorted(path.relative_to(generated) for path in generated.glob("binance/*/*.csv")):
        held, longer = (generated / path).read_text(), (extended / path).read_text()
        assert longer.startswith(held)
        assert longer[len(held) :].startswith("2026-12-23T00:00:00")
        assert longer.rstrip().rpartition("\n")[2].startswith("2027-02-04T")
    for slug in SOURCES.keys() - {"fred", "binance"}:
        for path in sorted(path.relative_to(generated) for path in generated.glob(f"{slug}/*/*.csv")):
            held, longer = (generated / path).read_text(), (extended / path).read_text()
            assert longer.startswith(held)
            assert len(longer) > len(held)


def test_an_unfit_folder_is_refused(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "mine")
    with pytest.raises(ReplayError, match="was generated with seed 7, not 8"):
        generate(tmp_path / "mine", NOW, seed=8)
    with pytest.raises(ReplayError, match=r"holds files but no replay\.json"):
        generate(tmp_path, NOW)


def test_what_is_served_hides_the_future_and_shows_both_units(generated: Path) -> None:
    with serving(generated, Wall(NOW.isoformat())) as url:
        fred = Fred(url)
        assert fred.rows("WALCL")[-1][0] == "2026-11-18"
        body = fred.get("series", "WTREGEN", realtime_start="1776-07-04", realtime_end="9999-12-31").json()
    assert [(s["realtime_end"], s["units"]) for s in body["seriess"]] == [
        ("2025-10-01", "Billions of U.S. Dollars"),
        ("9999-12-31", "Millions of U.S. Dollars"),
    ]
