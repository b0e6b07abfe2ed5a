"""Data Docs, readable offline: what they would load from the internet lies beside the pages."""

import logging
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_store.catalog import Catalog, load_catalog
from feature_store.quality import project
from feature_store.quality.vendored import LINKS, ensure_assets
from feature_store.settings import load_settings

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.file_data_context import FileDataContext
    from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier

log = logging.getLogger(__name__)

SHOWN_LATELY_SECONDS = 3600
"""How long, in real time, the pages of a suite's last run stand for those of the next ones."""

_VENDOR = "static/vendor"
_LOGO = "static/images/logo-long.png"

# Elements that load what they name; a link to follow (<a>) loads nothing.
_LOADING = re.compile(
    r'<(?P<tag>link|script|img)\b[^>]*?\b(?:href|src)="(?P<url>(?:https?:)?//[^"]+)"[^>]*>(?:\s*</script>)?'
)
_IN_STYLE = re.compile(r"""url\((['"]?)(?:https?:)?//[^)]*\)""")
_STATIC = re.compile(r'(["\'(])(?:\.{1,2}/)+static/')


def site(home: Path) -> Path:
    """The folder of the site below the state directory."""
    return home / "quality" / "data_docs"


def shown_lately(home: Path, suite: str) -> bool:
    """Whether a run of the suite got its pages within the last hour of real time."""
    runs = site(home) / "validations" / suite
    return runs.exists() and time.time() - runs.stat().st_mtime < SHOWN_LATELY_SECONDS


def build_data_docs(catalog: Catalog | None = None, home: Path | None = None) -> Path:
    """Build all pages and return the index; without npm they are built all the same, without styles."""
    home = (home or load_settings().home).resolve()
    with project.opened(catalog or load_catalog(), home) as context:
        return publish(context, home)


def publish(context: "FileDataContext", home: Path, fresh: Sequence["ValidationResultIdentifier"] = ()) -> Path:
    """Build the pages of fresh results, or all pages, forget old runs, and make the site whole in itself."""
    _forget_old_runs(context, home, load_settings().docs_runs)
    pages: Any = [*context.expectations_store.list_keys(), *fresh] if fresh else None
    context.build_data_docs(resource_identifiers=pages)
    assets = ensure_assets(home, patient=not fresh)
    if assets is not None:
        _copy(assets, site(home) / _VENDOR)
    localise(site(home), styled=assets is not None)
    return site(home) / "index.html"


def localise(folder: Path, *, styled: bool) -> None:
    """Make every page of a site load from the site alone; what has no local twin is left out."""
    for page in folder.rglob("*.html"):
        text = page.read_text()
        prefix = "../" * len(page.relative_to(folder).parent.parts)
        local = _localised(text, prefix, styled=styled)
        if local != text:
            # Others may be reading the page.
            scratch = page.with_suffix(".tmp")
            scratch.write_text(local)
            scratch.replace(page)


def _localised(text: str, prefix: str, *, styled: bool) -> str:
    def element(match: re.Match[str]) -> str:
        tag, url = match["tag"], match["url"]
        if tag == "img":
            return match[0].replace(url, f"{prefix}{_LOGO}")
        if styled and url in LINKS:
            path = f"{prefix}{_VENDOR}/{LINKS[url]}"
            # Without the attributes integrity and crossorigin, which forbid loading from a file.
            return f'<script src="{path}"></script>' if tag == "script" else f'<link rel="stylesheet" href="{path}">'
        if styled:
            log.warning("Data Docs link to %s, which is not vendored: left out", url)
        return ""

    text = _LOADING.sub(element, text)
    text = _IN_STYLE.sub(f"url('{prefix}{_LOGO}')", text)
    # Great Expectations counts the folders of a page's address wrongly.
    return _STATIC.sub(rf"\g<1>{prefix or './'}static/", text)


def _copy(assets: Path, target: Path) -> None:
    stamp = target / "stamp"
    if stamp.exists() and stamp.read_text() == assets.name:
        return
    shutil.copytree(assets, target, dirs_exist_ok=True)
    stamp.write_text(assets.name)


def _forget_old_runs(context: "FileDataContext", home: Path, kept: int) -> None:
    """Keep so many runs of each suite; `quality.results` holds the history of all."""
    store: Any = context.validation_results_store
    by_suite: dict[str, list[Any]] = {}
    for key in store.list_keys():
        by_suite.setdefault(key.expectation_suite_identifier.name, []).append(key)
    for keys in by_suite.values():
        keys.sort(key=lambda key: key.run_id.run_time, reverse=True)
        for key in keys[kept:]:
            store.remove_key(key)
            page = site(home).joinpath("validations", *key.to_tuple()).with_suffix(".html")
            _remove(page, site(home))


def _remove(page: Path, stop: Path) -> None:
    """Remove a page and the folders it leaves empty."""
    page.unlink(missing_ok=True)
    for folder in page.parents:
        if folder == stop or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
