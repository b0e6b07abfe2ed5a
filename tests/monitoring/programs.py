"""The programs of Prometheus that tests run: where they are."""

import os
import shutil

from feature_store.settings import ROOT

CONFIG = ROOT / "monitoring" / "prometheus"
ABSENT = "prometheus and promtool are not installed: .ci/prometheus fetches them"


def program(name: str) -> str | None:
    """One that .ci/prometheus fetched, or one on PATH."""
    fetched = ROOT / ".venv" / "prometheus"
    return shutil.which(name, path=os.pathsep.join([str(fetched), os.environ.get("PATH", os.defpath)]))
