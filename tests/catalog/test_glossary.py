"""The glossary has every word of the design."""

import re

import pytest

from feature_store.settings import ROOT
from tests.recordings import REAL

DESIGN = REAL.parent / "DESIGN.md"


def words(page: str) -> set[str]:
    """The first column of the table of words, each of its terms by itself."""
    rows = re.findall(
        r"^\| (.+?) \| .+ \|$", page.partition("| word | meaning |")[2].partition("\n\n")[0], re.MULTILINE
    )
    return {term.strip("` ") for row in rows for term in re.split(r"[,/]", row)} - {"---"}


def test_every_word_of_the_design_is_in_the_glossary() -> None:
    if not DESIGN.is_file():
        pytest.skip(f"the design is not part of this repository and not at {DESIGN}")
    designed = words(DESIGN.read_text())
    assert len(designed) > 15
    assert designed <= words((ROOT / "docs" / "glossary.md").read_text())
