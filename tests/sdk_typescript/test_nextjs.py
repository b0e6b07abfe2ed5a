"""The Next.js example, built and run against a served store, and looked at through a real browser."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from feature_store.stack.ports import free_port
from tests.api.served import LIQUIDITY, PRICE, Served, Told, until

from .node import EXAMPLE, ensure_built, npm_command

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed on this machine")

WEDNESDAYS = [datetime(2023, 6, 7, tzinfo=UTC) + timedelta(weeks=week) for week in range(40)]
REVISED_AT = datetime(2024, 5, 15, tzinfo=UTC)
"""When every second of them was told anew."""


@pytest.fixture(scope="session")
def example(sdk: Path) -> Path:
    """The folder of the example, installed and built."""
    written = [
        path for folder in ("app", "components", "lib") for path in (EXAMPLE / folder).rglob("*") if path.is_file()
    ]
    ensure_built(EXAMPLE, ".next/BUILD_ID", [sdk / "dist" / "index.js", EXAMPLE / "next.config.ts", *written])
    return EXAMPLE


@contextmanager
def running(example: Path, env: Mapping[str, str]) -> Iterator[str]:
    """The address of the example, run with some variables, for as long as the block lasts."""
    port = free_port()
    place = {"FEATURE_STORE_API_URL": "", "FEATURE_STORE_API_KEY": "", **env}
    with subprocess.Popen(
        npm_command(example, "run", "start", "--", "--hostname", "127.0.0.1", "--port", str(port)),
        env={**os.environ, **place},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: _is_listening(port), "the example starts")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _is_listening(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/icon.svg", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def site(example: Path, store: Served, place: Mapping[str, str]) -> Iterator[str]:
    """The example over a store whose net liquidity was revised."""
    store.append([Told(LIQUIDITY, day, _first(day), day + timedelta(days=1)) for day in WEDNESDAYS])
    store.append([Told(LIQUIDITY, day, _first(day) + 5e10, REVISED_AT) for day in WEDNESDAYS[::2]])
    with running(example, place) as address:
        yield address


def _first(day: datetime) -> float:
    return 6e12 + day.toordinal() % 97 * 1e9


@pytest.fixture
def page() -> "Iterator[Page]":
    """A page of a browser; what it complains of fails the test."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
    assert complaints == []


@needs_chromium
def test_the_newest_values_are_in_a_table_and_stale_ones_are_marked(site: str, page: "Page") -> None:
    page.goto(site)
    price = page.get_by_role("row").filter(has_text=PRICE)
    assert "$67,059.10" in price.inner_text()
    assert "stale" in price.inner_text()
    vix = page.get_by_role("row").filter(has_text="macro/us/vix_index")
    assert "13.5 index" in vix.inner_text()
    assert "fresh" in vix.inner_text()
    assert "without a value yet" in page.inner_text("main")


@needs_chromium
def test_a_history_is_drawn_as_known_then_and_as_known_now(site: str, page: "Page") -> None:
    page.goto(site)
    page.get_by_role("link", name="Known then, known now").click()
    page.get_by_role("textbox", name="As known on").fill("2024-05-01")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Newest value on 2024-05-01").wait_for()
    assert "20 of 40 values" in page.inner_text("main")
    assert "+$50.0B" in page.inner_text("main")
    lines = [page.get_attribute(f"path.{side}", "d") or "" for side in ("then", "now")]
    assert [line.count("L") for line in lines] == [39, 40], "the last point came later"
    assert page.locator("line.change").count() == 20
    chart = page.locator("svg").bounding_box()
    assert chart is not None
    page.mouse.move(chart["x"] + 80, chart["y"] + 100)
    assert "changed by +$50.0B" in page.inner_text("figcaption")

    page.get_by_role("textbox", name="As known on").fill("2024-06-01")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Newest value on 2024-06-01").wait_for()
    assert "Nothing changed since" in (page.text_content("svg") or "")


@needs_chromium
def test_what_was_backfilled_is_not_known_then_unless_it_is_asked_for(site: str, page: "Page") -> None:
    page.goto(f"{site}/history?feature=macro/us/vix_index&known=2024-06-02")
    assert "100% of the values were backfilled" in page.inner_text("main")
    assert page.inner_text("dl").count("not known") == 2
    assert "Nothing to compare" in (page.text_content("svg") or "")
    page.get_by_label("Take backfilled values").check()
    page.get_by_role("button", name="Show").click()
    page.get_by_text("0 of 4 values").wait_for()


@needs_chromium
def test_no_file_that_the_browser_gets_holds_the_key(
    site: str, page: "Page", store: Served, place: Mapping[str, str]
) -> None:
    sent: dict[str, bytes] = {}

    def keep(route: "Route") -> None:
        answer = route.fetch()
        sent[route.request.url] = answer.body()
        route.fulfill(response=answer)

    page.route("**", keep)
    for path in ("/", "/history"):
        page.goto(site + path)
        page.wait_for_load_state("networkidle")
    assert any(url.endswith(".js") for url in sent)
    for url, content in sent.items():
        assert url.startswith(site), "nothing comes from another host"
        assert store.key.encode() not in content, url
        assert store.url.encode() not in content, url
    built = [file for file in (EXAMPLE / ".next" / "static").rglob("*") if file.is_file()]
    assert built
    for file in built:
        assert b"FEATURE_STORE_API" not in file.read_bytes(), file


@needs_chromium
def test_it_is_light_or_dark_as_the_reader_has_it(site: str, page: "Page") -> None:
    page.goto(site)
    page.emulate_media(color_scheme="light")
    assert _background(page) == "rgb(247, 248, 250)"
    page.emulate_media(color_scheme="dark")
    assert _background(page) == "rgb(16, 20, 25)"


def _background(page: "Page") -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("path", ["/", "/history"])
def test_a_store_that_is_away_a_wrong_key_and_none_are_told_with_what_to_do(
    example: Path, place: Mapping[str, str], path: str
) -> None:
    away = {**place, "FEATURE_STORE_API_URL": f"http://127.0.0.1:{free_port()}"}
    wrong = {**place, "FEATURE_STORE_API_KEY": f"fs_aaaaaaaa_{'S' * 43}"}
    for env, title, step in (
        (away, "The feature store cannot be reached", "make up"),
        (wrong, "The feature store does not accept the key of this site", "feature-store keys create"),
        ({}, "This site does not know its feature store yet", "Set FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY"),
    ):
        with running(example, env) as address:
            text = httpx.get(address + path, timeout=None, trust_env=False).text
        assert title in text
        assert step in text
        assert "SSSS" not in text
        assert place["FEATURE_STORE_API_KEY"] not in text


def test_an_unknown_feature_is_told(site: str) -> None:
    text = httpx.get(f"{site}/history?feature=macro/us/vix", timeout=None, trust_env=False).text
    assert "There is no such feature" in text
    assert "did you mean" in text
