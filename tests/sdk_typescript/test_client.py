"""The TypeScript client against a real API: its own tests, its types, and what its README says."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.api.served import Served

from .node import SDK, npm, shell

README = (SDK / "README.md").read_text()
SNIPPETS = re.findall(r"```ts\n(.*?)```", README, re.DOTALL)


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


def test_every_snippet_of_its_readme_is_well_typed_and_runs(
    sdk: Path, described: Mapping[str, str], tmp_path: Path
) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "feature-store-client").symlink_to(sdk)
    (modules / "@types").symlink_to(sdk / "node_modules" / "@types")
    for number, snippet in enumerate(SNIPPETS):
        (tmp_path / f"{number}.mts").write_text(snippet)
    config = {"extends": str(sdk / "tsconfig.json"), "compilerOptions": {"noEmit": False}, "include": ["*.mts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    key = {"FEATURE_STORE_API_KEY": described["FEATURE_STORE_TEST_PUBLISH_KEY"]}
    said = shell('tsc; for file in *.mjs; do echo "# $file"; node "$file"; done', tmp_path, {**described, **key})
    told = [part.partition("\n")[2].strip() for part in said.split("# ")[1:]]
    assert len(told) == len(SNIPPETS)
    assert all(told), "each has something to show"
    for words in ("5800000000000", "59 67000.1", "inserted: 1, failed: 0", "did you mean 'macro/us/walcl_total_usd'"):
        assert words in said


@pytest.mark.slow
def test_a_stranger_gets_a_first_value_from_the_registry_alone(
    sdk: Path, place: Mapping[str, str], tmp_path: Path
) -> None:
    """The lines of the README, in a clone: without packages, and without what was built."""
    left_out = shutil.ignore_patterns("node_modules", "dist", "examples")
    shutil.copytree(sdk, tmp_path / "sdk" / "typescript", ignore=left_out)
    [lines] = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    address, _, rest = lines.partition("\n")
    assert "stack info --env" in address
    said = shell(rest.replace("/tmp/first-value", str(tmp_path / "first-value")), tmp_path, place)
    assert "featureId: 'macro/us/net_liquidity_usd'" in said
    assert "value: 5800000000000" in said


def test_no_file_is_long(sdk: Path) -> None:
    written = [path for folder in ("src", "tests") for path in (sdk / folder).glob("*.ts") if path.name != "openapi.ts"]
    assert max(len(path.read_text().splitlines()) for path in written) < 300
