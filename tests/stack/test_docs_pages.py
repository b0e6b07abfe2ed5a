"""dbt's docs and Data Docs inside Airflow: the app alone, and through the running stack and a real browser."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from feature_store.settings import Settings
from feature_store.stack.docs_pages import PREFIX, docs_app

from .running import Running

CHROMIUM = shutil.which("chromium")
ADDRESSES = ["/dbt", "/data-docs/", "/data-docs/index.html", "/data-docs/static/style.css", "/data-docs/none.html"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory with both kinds of pages, and a secret beside them."""
    home = tmp_path / "var"
    for name, text in {
        "dbt/target/static_index.html": "<title>dbt docs</title>",
        "quality/data_docs/index.html": "<title>Data Docs</title>",
        "quality/data_docs/static/style.css": "body {}",
        "quality/data_docs/validations/candidates/run.html": "a run",
        "quality/data_docs_old/page.html": "of a neighbour whose name begins alike",
        "secrets.json": "hidden",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def opened(home: Path) -> FastAPI:
    return docs_app(Settings(FEATURE_STORE_HOME=home), lambda: None)


def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_the_pages_are_those_of_the_state_directory(home: Path) -> None:
    app = opened(home)
    assert "dbt docs" in get(app, "/dbt").text
    assert get(app, "/data-docs/").text == get(app, "/data-docs/index.html").text == "<title>Data Docs</title>"
    assert get(app, "/data-docs/validations/candidates/run.html").text == "a run"
    style = get(app, "/data-docs/static/style.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("path", ADDRESSES)
def test_who_may_not_see_them_gets_nothing(home: Path, path: str) -> None:
    def refuse() -> None:
        raise HTTPException(401)

    answer = get(docs_app(Settings(FEATURE_STORE_HOME=home), refuse), path)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json"])
def test_nothing_else_is_there(home: Path, path: str) -> None:
    assert get(opened(home), path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/data-docs/%2e%2e/%2e%2e/secrets.json",
        "/data-docs/..%2f..%2fsecrets.json",
        "/data-docs/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecrets.json",
        "/data-docs/%2e%2e%2fdata_docs_old%2fpage.html",
        "/data-docs/%2fetc%2fpasswd",
        "/data-docs//etc/passwd",
        "/data-docs/index.html%00.css",
        "/data-docs/link",
        f"/data-docs/{'a' * 5000}",
    ],
)
def test_no_path_leads_out_of_the_site(home: Path, path: str) -> None:
    (home / "quality" / "data_docs" / "link").symlink_to(home / "secrets.json")
    answer = get(opened(home), path)
    assert answer.status_code == 404
    assert "There is no page" in answer.text


def test_a_name_of_a_page_is_never_read_as_html(home: Path) -> None:
    answer = get(opened(home), "/data-docs/<script>alert(1)</script>")
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("path", "advice"), [("/dbt", "make up"), ("/data-docs/", "quality docs"), ("/data-docs/a.html", "quality docs")]
)
def test_a_page_that_is_not_there_yet_says_how_it_comes(tmp_path: Path, path: str, advice: str) -> None:
    answer = get(opened(tmp_path), path)
    assert answer.status_code == 404
    assert "not there yet" in answer.text
    assert advice in answer.text


def test_pages_that_are_written_later_appear(tmp_path: Path) -> None:
    app = opened(tmp_path)
    assert get(app, "/data-docs/").status_code == 404
    (tmp_path / "quality" / "data_docs").mkdir(parents=True)
    (tmp_path / "quality" / "data_docs" / "index.html").write_text("now")
    assert get(app, "/data-docs/").text == "now"


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_answer_is_asked_for_anew_and_loads_from_here_alone(home: Path, path: str) -> None:
    app = opened(home)
    answer = get(app, path)
    again = get(app, path, **{"If-None-Match": answer.headers.get("etag", "none")})
    assert again.status_code == (304 if path.startswith("/data-docs/") and answer.is_success else answer.status_code)
    for one in (answer, again):
        assert one.headers["cache-control"] == "private, no-cache"
        assert "default-src 'self'" in one.headers["content-security-policy"]


def test_airflow_shows_them_to_whoever_is_logged_in_and_to_nobody_else(stack: Running) -> None:
    info = stack.handles
    login = {"username": info["airflow_user"], "password": info["airflow_password"]}
    with httpx.Client(base_url=info["airflow_url"], timeout=None, trust_env=False) as http:
        for path in ADDRESSES:
            assert http.get(PREFIX + path).status_code == 401
            assert http.get(PREFIX + path, headers={"Authorization": "Bearer forged"}).status_code == 403
        token = http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        known = {"Authorization": f"Bearer {token}"}
        assert "dbt Docs" in http.get(f"{PREFIX}/dbt", headers=known).raise_for_status().text
        assert "Data Docs" in http.get(f"{PREFIX}/data-docs/", headers=known).raise_for_status().text
        assert http.get(f"{PREFIX}/data-docs/..%2f..%2fsecrets.json", headers=known).status_code == 404
        plugins = http.get("/api/v2/plugins", headers=known).json()["plugins"]
        assert "feature_store_docs" in [plugin["name"] for plugin in plugins]
        assert http.get("/api/v2/plugins/importErrors", headers=known).json()["total_entries"] == 0


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed on this machine")
def test_a_browser_follows_a_feature_to_its_raw_table_and_reads_data_docs(stack: Running) -> None:
    from playwright.sync_api import sync_playwright

    info = stack.handles
    blocked: list[str] = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda said: blocked.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(info["airflow_url"])
        page.fill("input[name=username]", info["airflow_user"])
        page.fill("input[name=password]", info["airflow_password"])
        page.keyboard.press("Enter")
        shown = page.frame_locator("iframe")

        page.get_by_role("button", name="Docs").click()
        page.get_by_text("dbt docs", exact=True).click()
        shown.get_by_role("heading", name="Follow a feature").wait_for()
        for address, text in {
            "exposure/exposure.feature_store.crypto__btc__price_usd": "Close of the minute of BTCUSDT on Binance spot",
            "model/model.feature_store.points_binance__klines_1m": "Every version of every point that one-minute",
            "model/model.feature_store.stg_binance__klines_1m": "One-minute spot candles as every fetch read them",
            "source/source.feature_store.raw.binance_klines_1m": "One-minute spot candles of Binance",
        }.items():
            shown.locator(f"a[href='#!/{address}']:visible").first.click()
            shown.get_by_text(text).first.wait_for()

        page.goto(f"{info['airflow_url']}/plugin/dbt-docs/feature-store/dbt#!/model/model.feature_store.candidates")
        shown.get_by_text("What this run may append").first.wait_for()

        page.get_by_role("button", name="Docs").click()
        page.get_by_text("Data Docs", exact=True).click()
        shown.get_by_text("Validation Results").first.wait_for()
        shown.locator("td a:visible", has_text="candidates").first.click()
        shown.get_by_text("This Expectation suite currently contains").first.wait_for()
        browser.close()
    assert blocked == []
