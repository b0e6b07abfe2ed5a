"""The client is a distribution of its own: nothing of the server comes along, and pandas only where it is wanted."""

import ast
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.api.served import Served

SDK = Path(__file__).parents[2] / "sdk" / "python"


def test_nothing_of_the_server_is_imported() -> None:
    for module in SDK.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "feature_store"], module


def test_no_file_is_long() -> None:
    assert max(len(module.read_text().splitlines()) for module in SDK.rglob("*.py")) < 300


def test_importing_it_does_not_import_pandas() -> None:
    program = "import sys, feature_store_client; print({'pandas', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SDK / "src")
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_it_installs_alone_and_says_what_an_extra_is_needed_for(tmp_path: Path) -> None:
    copy = shutil.copytree(SDK, tmp_path / "sdk", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", copy], check=True)
    program = """
from importlib.metadata import version
from importlib.resources import files
from feature_store_client import ConfigurationError, FeatureStore
assert files("feature_store_client").joinpath("py.typed").is_file()
with FeatureStore("http://127.0.0.1:9", "fs_x") as store:
    for verb, asked in ((store.query_pandas, {}), (store.query_arrow, {"progress": True})):
        try:
            verb("macro/us/vix_index", **asked)
        except ConfigurationError as error:
            print(error)
print(version("feature-store-client"))
"""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "this needs pandas: pip install 'feature-store-client[pandas]'",
        "progress=True needs rich: pip install 'feature-store-client[progress]'",
        "0.1.0",
    ]


@pytest.mark.slow
def test_the_example_draws_its_chart(tmp_path: Path, store: Served) -> None:
    copy = shutil.copytree(SDK, tmp_path / "sdk", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{copy}[example]"], check=True)
    chart = tmp_path / "chart.png"
    done = subprocess.run(
        [python, SDK / "examples" / "net_liquidity_vs_btc.py", chart],
        env={"FEATURE_STORE_API_URL": store.url, "FEATURE_STORE_API_KEY": store.key, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert "1 points as known now" in done.stdout
