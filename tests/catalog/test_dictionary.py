"""The data dictionary says what the catalog says."""

import re
from pathlib import Path

import pytest

from feature_store.catalog import Catalog, dictionary, load_catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_the_committed_page_has_not_drifted(catalog: Catalog) -> None:
    assert dictionary.drifted(catalog) == [], "run `feature-store catalog dictionary --write` and commit the result"


def test_a_changed_catalog_is_drift_and_is_written(catalog: Catalog, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert dictionary.write(catalog, page) == [page]
    assert dictionary.write(catalog, page) == []
    page.write_text(page.read_text().replace("Total assets", "All assets"))
    assert dictionary.drifted(catalog, page) == [page]


def test_every_feature_and_source_is_there_and_every_link_within_leads_somewhere(catalog: Catalog) -> None:
    text = dictionary.render(catalog)
    headings = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert headings == {*catalog.features, *catalog.sources}
    anchors = {heading.replace("/", "") for heading in headings}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize(
    "said",
    [
        "- available: the next day at 16:30 America/New_York, rolled forward to an open day of us-federal",
        "times 1e+09 from billions of us dollars; times 1e+06 from millions of us dollars",
        "- available: PT2S after it is valid",
        "- from: [macro/us/walcl_total_usd](#macrouswalcl_total_usd), [macro/us/tga_balance_usd]",
        "- changes afterwards: its newest 5 periods; what is not complete yet is not published",
        "- needs: FRED_API_KEY",
    ],
)
def test_rules_are_told_in_words(catalog: Catalog, said: str) -> None:
    assert said in dictionary.render(catalog)
