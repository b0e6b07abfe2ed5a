"""A copy of the shipped catalog that a test may break."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from feature_store.catalog import Catalog, load_catalog
from feature_store.settings import ROOT

SHIPPED = ROOT / "include" / "catalog"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(SHIPPED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "catalog")
    return tmp_path / "catalog"


@pytest.fixture
def edited(folder: Path) -> Callable[..., Path]:
    """Change keys of one entry, a dotted key reaching inside; None takes the key away."""

    def edit(entry_id: str, changes: dict[str, Any], file: str = "features") -> Path:
        path = folder / f"{file}.yaml"
        content = yaml.safe_load(path.read_text())
        (entries,) = content.values()
        entry = next(entry for entry in entries if entry["id"] == entry_id)
        for dotted, value in changes.items():
            *outer, last = dotted.split("/")
            inside = entry
            for key in outer:
                inside = inside[key]
            if value is None:
                del inside[last]
            else:
                inside[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return folder

    return edit
