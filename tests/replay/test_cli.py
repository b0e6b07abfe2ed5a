from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feature_store.cli.replay import app
from feature_store.errors import ReplayError
from feature_store.settings import load_settings

from .server import Fred, write


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


@pytest.fixture
def against_server(fred: Fred, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURE_STORE_REPLAY_URL", fred.base_url)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("against_server")
def test_faults_are_added_listed_and_cleared(fred: Fred, folder: Path) -> None:
    write(folder, "ONE", "ts,value,available_at\n2024-01-03,1,2024-01-04\n")
    assert run("fault", "list") == "no faults\n"
    fault = "status --status 429 --series ONE --retry-after 3 --count 0"
    added = run("fault", "add", *fault.split())
    assert "kind=status" in added
    assert "retry_after=3" in run("fault", "list")
    assert [fred.get("series", "ONE").status_code for _ in range(2)] == [429, 429]
    assert run("fault", "clear") == "no faults\n"
    assert fred.get("series", "ONE").status_code == 200


@pytest.mark.usefixtures("against_server")
def test_a_wrong_fault_says_why() -> None:
    with pytest.raises(ReplayError, match="a fault of kind scaled needs field and factor"):
        run("fault", "add", "scaled")


def test_convert_tells_what_it_wrote(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("Date,Value\n2024-01-03,741.2\n")
    said = run(
        "convert", str(source), "--to", "fred/observations/WTREGEN", "--out", str(tmp_path),
        "--unit", "Millions of U.S. Dollars", "--factor", "1000",
    )  # fmt: skip
    assert "WTREGEN.csv: 1 rows, 0 of them revisions, 1 dated by the catalog's release rule" in said
    assert (tmp_path / "fred/observations/WTREGEN.csv").read_text() == (
        "ts,value,unit\n2024-01-03,741200,Millions of U.S. Dollars\n"
    )
    with pytest.raises(ReplayError, match="--factor is 'many'"):
        run("convert", str(source), "--to", "a/b/c", "--out", str(tmp_path), "--factor", "many")


def test_generate_fills_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURE_STORE_HOME", str(tmp_path / "home"))
    assert run("generate", "--folder", str(tmp_path / "mine")) == f"{tmp_path / 'mine'}: 14 series\n"
