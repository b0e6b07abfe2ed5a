"""Connectors stay small: what is hard about a source belongs in its facts, not in its code."""

from pathlib import Path

import pytest

from feature_store import sources
from feature_store.catalog import load_catalog

FOLDER = Path(sources.__path__[0])
MOST = 150


def parts(slug: str) -> list[Path]:
    """The modules of a source's connector: `<slug>.py`, and those beside it that are named for what they read."""
    return sorted([*FOLDER.glob(f"{slug}.py"), *FOLDER.glob(f"{slug}_*.py")])


@pytest.mark.parametrize("slug", [source.slug for source in load_catalog().connected_sources])
def test_no_module_of_a_connector_is_longer_than_150_lines(slug: str) -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in parts(slug)}
    assert f"{slug}.py" in lengths
    assert {name: length for name, length in lengths.items() if length > MOST} == {}
