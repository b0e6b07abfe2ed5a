"""The API against its own OpenAPI document: whatever is sent, what comes back is what the document says."""

import subprocess
import sys
from pathlib import Path

import pytest

from .served import Served

# What a schema cannot say: that one instant lies before another, that a feature is in the catalog. 406: Accept is no
# parameter of the document.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "406", "413", "415", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "413", "415", "422"]
"""


@pytest.mark.parametrize("has_key", [True, False], ids=["with a key", "without one"])
def test_every_answer_is_as_the_document_says(store: Served, tmp_path: Path, has_key: bool) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{store.url}/openapi.json",
        "--checks=all",
        "--mode=all",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=10",
        "--generation-deterministic",
        "--request-timeout=30",
        "--no-color",
    ]
    if has_key:
        command.append(f"--header=Authorization: Bearer {store.key}")
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
