"""The TypeScript client against a real API: its own tests, its types, and what its README says."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.api.served import Served

from .node import npm


def test_its_own_tests_pass_and_none_is_left_out(sdk: Path, described: Mapping[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    npm(sdk, "test", "--", "--reporter=verbose", "--reporter=json", f"--outputFile.json={report}", env=described)
    told = json.loads(report.read_text())
    assert told["numPassedTests"] == told["numTotalTests"] > 60


def test_its_own_tests_say_why_they_are_skipped_alone(sdk: Path) -> None:
    nothing = {"FEATURE_STORE_API_URL": "", "FEATURE_STORE_API_KEY": ""}
    said = npm(sdk, "test", env=nothing)
    assert "passed" not in said.partition("Tests ")[2]
    assert "FEATURE_STORE_API_KEY" in said
    assert "serves a store" in said


def test_its_types_are_those_of_the_running_api(sdk: Path, store: Served, tmp_path: Path) -> None:
    document, fresh = tmp_path / "openapi.json", tmp_path / "openapi.ts"
    document.write_bytes(store.get("/openapi.json").content)
    npm(sdk, "run", "openapi", "--", str(document), "--output", str(fresh))
    assert fresh.read_text() == (sdk / "src" / "openapi.ts").read_text(), (
        "the API's description changed: with it running, "
        "npm --prefix sdk/typescript run openapi -- $FEATURE_STORE_API_URL/openapi.json --output src/openapi.ts"
    )


def test_no_file_is_long(sdk: Path) -> None:
    written = [path for folder in ("src", "tests") for path in (sdk / folder).glob("*.ts") if path.name != "openapi.ts"]
    assert max(len(path.read_text().splitlines()) for path in written) < 300
