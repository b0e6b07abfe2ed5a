"""Data Docs in the bucket are those of the state directory, whole, and nothing else of the archive minds them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from feature_store.archive import commit_history, publish_data_docs, set_up, tidy_history, verify
from feature_store.archive.s3 import open_bucket
from feature_store.catalog import Catalog
from feature_store.cli import app
from feature_store.errors import ArchiveError
from feature_store.quality.data_docs import site as site_of
from feature_store.quality.judge import judge
from feature_store.quality.project import EXAMPLES
from feature_store.settings import Settings, load_settings
from tests.archive.store import Server
from tests.quality import NOW

from .site import files_of, links_within, reached_from

Put = Callable[..., None]


@pytest.fixture
def settings(dsn: str, s3: Server) -> Settings:
    """A bucket of its own, with the archive in a folder."""
    settings = Settings(
        FEATURE_STORE_POSTGRES_DSN=dsn,
        FEATURE_STORE_HOME=s3.s3.home,
        FEATURE_STORE_PORT_S3=s3.s3.port,
        FEATURE_STORE_EXPORT_S3_URI=f"s3://test-{uuid4().hex[:12]}/features",
    )
    set_up(settings)
    return settings


@pytest.fixture
def site(conn: psycopg.Connection, sound: Put, catalog: Catalog, home: Path, assets: Path) -> Path:
    """The pages of a run that kept rows out."""
    sound(value=7.7e18)
    assert judge(conn, catalog, "run", home=home).docs
    return site_of(home)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A site of a few files."""
    folder = tmp_path / "pages"
    for name in ("index.html", "validations/a.html", "validations/b.html", "static/style.css"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def published(settings: Settings) -> dict[str, bytes]:
    """What lies in the folder of the site, by name."""
    bucket, folder = open_bucket(settings), "features/_data_docs/"
    held = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=folder).get("Contents", [])
    return {each["Key"].removeprefix(folder): bucket.get(f"s3://{bucket.name}/{each['Key']}") for each in held}


def content_type(settings: Settings, name: str) -> str:
    bucket = open_bucket(settings)
    return bucket.client.head_object(Bucket=bucket.name, Key=f"features/_data_docs/{name}")["ContentType"]


def test_every_link_of_a_site_with_a_failing_run_leads_to_a_file_of_it(site: Path) -> None:
    files = files_of(site)
    links = links_within(files)
    assert len(links) > 100
    assert {(page, link) for (page, link), target in links.items() if target not in files} == set()
    assert reached_from("index.html", files) == {name for name in files if name.endswith(".html")}


def test_the_page_of_a_run_lists_the_keys_of_the_rows_that_it_kept_out(
    conn: psycopg.Connection, put: Put, catalog: Catalog, home: Path, assets: Path
) -> None:
    days = [NOW - timedelta(days=n) for n in range(2, 2 + EXAMPLES)]
    for n, day in enumerate(days):
        put(ts=day, value=7.7e18 + n * 1e16, available_at=day + timedelta(hours=3))
    assert judge(conn, catalog, "run", home=home).blocked == EXAMPLES
    [page] = (site_of(home) / "validations" / "candidates").rglob("*.html")
    text = page.read_text()
    assert [day for day in days if f">{day.isoformat()}</div>" not in text] == []
    assert [day for day in days if f">{(day + timedelta(hours=3)).isoformat()}</div>" not in text] == []


def test_the_published_site_is_whole_and_a_browser_shows_it(settings: Settings, site: Path) -> None:
    done = publish_data_docs(settings, site)
    files = published(settings)
    assert files == files_of(site)
    assert (done.uploaded, done.deleted, done.unchanged) == (len(files), 0, 0)
    assert done.index == f"{settings.export_s3_uri}/_data_docs/index.html"
    assert [link for link, target in links_within(files).items() if target not in files] == []
    assert content_type(settings, "index.html") == "text/html; charset=utf-8"
    vendor = "static/vendor"
    assert content_type(settings, f"{vendor}/jquery/dist/jquery.min.js").startswith(("text/javascript", "application/"))
    assert content_type(settings, f"{vendor}/bootstrap/dist/css/bootstrap.min.css").startswith("text/css")
    assert content_type(settings, f"{vendor}/fontawesome-free/webfonts/fa-solid-900.woff2") == "font/woff2"


def test_only_what_changed_is_written_and_what_is_gone_is_deleted(settings: Settings, pages: Path) -> None:
    def publish() -> tuple[int, int, int]:
        done = publish_data_docs(settings, pages)
        return done.uploaded, done.deleted, done.unchanged

    assert publish() == (4, 0, 0)
    assert publish() == (0, 0, 4)
    (pages / "index.html").write_text("INDEX.html")
    (pages / "validations" / "a.html").unlink()
    (pages / "validations" / "c.html").write_text("new")
    (pages / "validations" / "b.tmp").write_text("half of a page that is being written")
    assert publish() == (2, 1, 2)
    (pages / "validations" / "b.tmp").unlink()
    assert published(settings) == files_of(pages)


def test_an_index_never_comes_before_its_pages(settings: Settings, pages: Path) -> None:
    refused = pages.joinpath(*["long" * 50] * 6)  # S3 knows no names this long
    refused.mkdir(parents=True)
    (refused / "page.html").write_text("of a run")
    with pytest.raises(ArchiveError):
        publish_data_docs(settings, pages)
    assert "index.html" not in published(settings)


def test_nothing_else_of_the_archive_minds_the_pages(settings: Settings, pages: Path, conn: psycopg.Connection) -> None:
    publish_data_docs(settings, pages)
    assert verify(conn, settings).problems == []
    bucket = open_bucket(settings)
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key="features/_data_docs/index.html")["TagSet"]
    assert tags == [], "no rule of the lifecycle that goes by tags touches them"
    commit_history(conn, settings)
    tidy_history(conn, settings)
    assert published(settings) == files_of(pages)


def test_s3_away_is_said_and_the_next_time_does_the_rest(settings: Settings, pages: Path, s3: Server) -> None:
    s3.stop()
    with pytest.raises(ArchiveError, match="Nothing is lost"):
        publish_data_docs(settings, pages)
    s3.start()
    publish_data_docs(settings, pages)
    assert published(settings) == files_of(pages)


def test_pages_that_were_never_built_delete_nothing(settings: Settings, pages: Path, tmp_path: Path) -> None:
    publish_data_docs(settings, pages)
    with pytest.raises(ArchiveError, match="feature-store quality docs"):
        publish_data_docs(settings, tmp_path / "elsewhere")
    assert published(settings) == files_of(pages)


def test_the_command_builds_and_publishes(settings: Settings, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = (settings.home / "secrets.json").read_text()
    (site.parents[1] / "secrets.json").write_text(secrets)
    values = {
        "HOME": site.parents[1], "POSTGRES_DSN": settings.postgres_dsn, "PORT_S3": settings.port_s3,
        "EXPORT_S3_URI": settings.export_s3_uri,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"FEATURE_STORE_{name}", str(value))
    load_settings.cache_clear()
    said = CliRunner().invoke(app, ["quality", "docs", "--publish"])
    load_settings.cache_clear()
    assert said.exit_code == 0, said.output
    assert f"{settings.export_s3_uri}/_data_docs/index.html: " in said.output
    assert published(settings) == files_of(site)
