"""Questions about points on the command line: tables for people, JSON and CSV for scripts."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.catalog.sync import sync
from feature_store.cli import app
from feature_store.errors import FeatureStoreError, QueryError, UnknownFeature
from feature_store.quality.assessments import Assessment, assess
from feature_store.settings import load_settings

from .archive.store import COLUMNS, Point, instant

VIX, WALCL = "macro/us/vix_index", "macro/us/walcl_total_usd"
ROOT = Path(__file__).parents[1]

Call = Callable[..., str]


@pytest.fixture
def call(db: psycopg.Connection, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """`feature-store` on a store in June 2024 with two features, one of them revised; errors are raised."""
    clock.freeze(db, instant("2024-06-10"))
    sync(db, load_catalog())
    db.execute(f"create temp table batch ({COLUMNS})")
    told = [
        Point("2024-05-22", 7.30e12, WALCL, available_at="2024-05-23 20:30", grain="daily"),
        Point("2024-05-29", 7.29e12, WALCL, available_at="2024-05-30 20:30", grain="daily"),
        Point("2024-05-29", 7.28e12, WALCL, available_at="2024-06-06 20:30", grain="daily"),
        Point("2024-06-06", 12.5, VIX, available_at="2024-06-06 20:30", grain="daily"),
    ]
    with db.cursor().copy("copy batch from stdin") as copy:
        for point in told:
            copy.write_row(point.row())
    db.execute("select features.append_versions('batch')")
    db.commit()
    monkeypatch.setenv("FEATURE_STORE_POSTGRES_DSN", dsn)
    monkeypatch.setenv("FEATURE_STORE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    load_settings.cache_clear()

    def run(*arguments: str, code: int = 0) -> str:
        done: Result = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    yield run
    load_settings.cache_clear()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_latest_is_a_table_json_or_csv(call: Call) -> None:
    shown = call("latest", WALCL, VIX)
    assert "7,280,000,000,000" in shown
    assert "12.5" in shown
    held = json.loads(call("latest", WALCL, "--json"))
    assert [(row["feature_id"], row["value"], row["unit"]) for row in held] == [(WALCL, 7.28e12, "USD")]
    assert {row["feature_id"] for row in rows_of(call("latest", "--csv"))} == {WALCL, VIX}


def test_query_asks_what_was_known_when(call: Call) -> None:
    asked = ("query", WALCL, "--since", "2024-05-29", "--csv")
    assert [float(row["value"]) for row in rows_of(call(*asked))] == [7.28e12]
    assert [float(row["value"]) for row in rows_of(call(*asked, "--as-of", "2024-06-01"))] == [7.29e12]
    assert [float(row["value"]) for row in rows_of(call(*asked, "--vintage", "all"))] == [7.29e12, 7.28e12]
    assert rows_of(call(*asked, "--as-stored", "2024-06-09")) == []
    [point] = json.loads(call("query", VIX, "--json"))
    assert (point["ts"], point["meta"], point["evidence"]) == ("2024-06-06T00:00:00+00:00", {}, [])
    assert "12.5" in call("query", VIX)


def test_historical_joins_days_or_a_file(call: Call, tmp_path: Path) -> None:
    asked = ("historical", WALCL, VIX, "--from", "2024-06-05", "--to", "2024-06-07")
    found = rows_of(call(*asked, "--csv"))
    assert [row[WALCL] for row in found] == ["7290000000000.0", "7290000000000.0", "7280000000000.0"]
    assert [row[VIX] for row in found] == ["", "", "12.5"]
    old = call(*asked, "--max-age", "P1D", "--csv")
    assert [row[WALCL] for row in rows_of(old)] == ["", "", ""]
    spine = tmp_path / "trades.csv"
    spine.write_text("trade,at,as_of\n7,2024-06-07 12:00:00,2024-06-01 00:00:00\n")
    [row] = json.loads(call("historical", WALCL, "--spine", str(spine), "--json"))
    assert (row["trade"], row[WALCL]) == (7, 7.29e12)
    out = tmp_path / "joined.parquet"
    assert f"1 rows in {out}" in call("historical", WALCL, "--spine", str(spine), "--out", str(out))
    assert pq.read_table(out)[WALCL].to_pylist() == [7.29e12]
    assert "7,290,000,000,000" in call(*asked)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("historical", VIX), "--spine FILE, or --from and --to"),
        (("historical", VIX, "--from", "2024-06-02", "--to", "2024-06-01"), "lies before --from"),
        (("revisions", VIX, "--ts", "2024-06-06", "--since", "2024-06-06"), "leave out --since"),
        (("explain", VIX, "--ts", "2024-06-07"), "has no point at 2024-06-07"),
        (("query", VIX, "--since", "2024-06-02", "--until", "2024-06-01"), "lies before since"),
        (("backfill", "etherscan", "--from", "2024-01", "--to", "2024-02"), "answers only for now"),
        (("backfill", "fred", "--from", "2024-03", "--to", "2024-02"), "lies before --from"),
    ],
)
def test_a_question_without_sense_is_told_what_to_do(call: Call, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(QueryError, match=re.escape(told)):
        call(*arguments)


def test_an_unknown_feature_is_told_the_nearest(call: Call) -> None:
    for command in (("latest",), ("query",), ("historical", "--from", "2024-01-01", "--to", "2024-01-02")):
        with pytest.raises(UnknownFeature, match="did you mean 'macro/us/vix_index'"):
            call(command[0], "macro/us/vix_indx", *command[1:])


def test_a_file_that_is_no_spine_is_named(call: Call, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.parquet"
    wrong.write_text("at\n2024-06-01\n")
    with pytest.raises(QueryError, match=r"wrong\.parquet cannot be read as parquet"):
        call("historical", VIX, "--spine", str(wrong))
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("when\n2024-06-01\n")
    with pytest.raises(FeatureStoreError, match="no 'at'"):
        call("historical", VIX, "--spine", str(wrong))


def test_revisions_come_in_the_order_they_were_told(call: Call) -> None:
    found = rows_of(call("revisions", WALCL, "--ts", "2024-05-29", "--csv"))
    assert [float(row["value"]) for row in found] == [7.29e12, 7.28e12]
    assert "2 versions" in call("revisions", WALCL, "--ts", "2024-05-29")


def test_explain_is_a_tree_or_json(call: Call) -> None:
    shown = call("explain", WALCL)
    assert "7,280,000,000,000" in shown
    assert "available 2024-06-06 20:30:00 UTC (vintage)" in shown
    assert (
        json.loads(call("explain", WALCL, "--ts", "2024-05-29", "--as-of", "2024-06-01", "--json"))["value"] == 7.29e12
    )


def test_explain_says_why_the_confidence_is_not_that_at_ingest(call: Call, db: psycopg.Connection) -> None:
    day, available = instant("2024-06-06"), instant("2024-06-06 20:30")
    assess(db, "test", [Assessment(VIX, 1, day, available, instant("2024-06-10"), 0.485, {"agreement": 0.5})])
    db.commit()
    shown = call("explain", VIX)
    assert "confidence 0.485" in shown
    assert "assessed 2024-06-10 00:00:00 UTC: agreement 0.5; at ingest the confidence was 0.97" in shown
    told = json.loads(call("explain", VIX, "--json"))
    assert told["assessment"]["reasons"] == {"agreement": 0.5}
    assert json.loads(call("latest", VIX, "--json"))[0]["confidence"] == 0.485


def test_features_complete(call: Call) -> None:
    from feature_store.cli.backfill import slugs
    from feature_store.cli.reading import feature_ids

    assert feature_ids("macro/us/v") == [VIX]
    assert "fred" in slugs("f")
    assert "cex" not in slugs(""), "it answers only for now"


FLOWS = "crypto/etf/btc_net_flow_usd"


def test_points_are_published_from_csv_and_json(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "flows.csv"
    file.write_text(
        "featureId,ts,value,availableAt,provisional,meta\n"
        f'{FLOWS},2024-06-06T00:00:00Z,-1.5e6,,true,"{{""desk"": ""flows""}}"\n{FLOWS},2024-06-05T00:00:00Z,2,,,\n'
    )
    assert "2 inserted, 0 held already, 0 failed" in call("publish", str(file))
    assert "0 inserted, 2 held already, 0 failed" in call("publish", str(file))
    [latest] = json.loads(call("latest", FLOWS, "--json"))
    assert (latest["value"], latest["is_provisional"], latest["meta"]["desk"]) == (-1.5e6, True, "flows")
    assert "published" in call("explain", FLOWS) or "publish/" in call("explain", FLOWS)

    file = tmp_path / "points.json"
    file.write_text(json.dumps([{"featureId": FLOWS, "ts": "2024-06-04T00:00:00Z", "value": 3}]))
    assert json.loads(call("publish", str(file), "--json")) == {
        "inserted": 1,
        "duplicate": 0,
        "failed": 0,
        "errors": [],
    }


def test_points_that_fail_are_told_and_the_exit_status_says_so(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(f"featureId,ts,value\n{FLOWS},2024-06-06T00:00:00Z,1\n{VIX},2024-06-06T00:00:00Z,13\n")
    said = call("publish", str(file), code=1)
    assert "not_a_writer" in said
    assert "Nothing was written" in said
    assert "1 inserted, 0 held already, 1 failed" in call("publish", str(file), "--mode", "each", code=1)
    assert "1 inserted, 1 held already, 0 failed" in call("publish", str(file), "--admin")
    file.write_text(f"featureId,ts,value\n{FLOWS},2024-06-06T00:00:00Z,many\n")
    with pytest.raises(FeatureStoreError, match="line 2"):
        call("publish", str(file))


DOCUMENTED = sorted(
    {
        match.group(1)
        for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
        for match in re.finditer(r"feature-store ([a-z][a-z_ -]*(?: --?[a-z-]+)*)", page.read_text())
    }
)


@pytest.mark.parametrize("line", DOCUMENTED)
def test_every_documented_command_exists(line: str) -> None:
    """The words that lead to a command, and the options that stand right behind them."""
    command = typer.main.get_command(app)
    words = line.split()
    while words and not words[0].startswith("-") and isinstance(command, typer.core.TyperGroup):
        assert words[0] in command.commands, f"feature-store {line}"
        command = command.commands[words.pop(0)]
    if command.context_settings.get("ignore_unknown_options"):
        return  # they go to the program that it opens
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("-") or word in options | {"--help"}, f"feature-store {line}"


def test_the_lists_of_commands_in_the_readme_are_whole() -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    readme = (ROOT / "README.md").read_text()
    listed = re.search(r"`feature-store ([^`]*\|[^`]*)`", readme)
    assert listed is not None
    assert {name.strip() for name in listed.group(1).replace("\n", " ").split("|")} == set(command.commands)


def test_a_day_is_as_long_as_it_says() -> None:
    from feature_store.cli.options import span

    assert span("P1D") == timedelta(days=1)
