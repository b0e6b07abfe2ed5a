"""DAG files as Airflow's parser sees them, without a running Airflow."""

import json
import os
import subprocess
import sys
from pathlib import Path

from feature_store.settings import ROOT

_DOCS = """
import json, runpy
found = runpy.run_path("dags/ingest.py")
print(json.dumps({source.slug: found["live_tail"](source).doc_md for source in found["catalog"].connected_sources}))
"""


def docs_of_live_tails(home: Path, **env: str) -> dict[str, str]:
    held = {name: value for name, value in os.environ.items() if not name.startswith(("FEATURE_STORE_", "AIRFLOW"))}
    held |= {"AIRFLOW_HOME": str(home), "FEATURE_STORE_HOME": str(home)} | env
    said = subprocess.run(
        [sys.executable, "-c", _DOCS], cwd=ROOT, env=held, capture_output=True, text=True, check=True
    ).stdout
    docs: dict[str, str] = json.loads(said.splitlines()[-1])
    return docs


def test_the_docs_of_a_source_without_its_key_say_that_it_is_disabled_and_how_to_enable_it(tmp_path: Path) -> None:
    docs = docs_of_live_tails(tmp_path, FEATURE_STORE_UPSTREAM="live")
    assert "fred is disabled: FEATURE_STORE_UPSTREAM=live needs FRED_API_KEY. Set it" in docs.pop("fred")
    with_key = docs_of_live_tails(tmp_path, FEATURE_STORE_UPSTREAM="live", FRED_API_KEY="k" * 32)
    assert "disabled" not in with_key["fred"] + docs["binance"]
    assert "disabled" not in "".join(docs_of_live_tails(tmp_path).values())
