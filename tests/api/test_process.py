"""The API as `make up` runs it: a process that takes everything from its environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import psycopg

from feature_store.stack.ports import free_port

from .served import PRICE, Served, until


@contextmanager
def process(store: Served, log: Path, **settings: str) -> Iterator[str]:
    """Its address; what it writes is in `log`."""
    port = free_port()
    env = {
        **os.environ,
        "FEATURE_STORE_POSTGRES_DSN": store.settings.postgres_dsn,
        "FEATURE_STORE_HOME": str(store.settings.home),
        "FEATURE_STORE_PORT_API": str(port),
        **settings,
    }
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        running = subprocess.Popen([sys.executable, "-m", "feature_store.serving.api"], env=env, stdout=out, stderr=out)
        try:
            until(lambda: answers(url) or running.poll() is not None, "it answers", 150)
            yield url
        finally:
            running.terminate()
            assert running.wait(60) in (0, -SIGTERM), "it ends as it was told"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=2).is_success
    except httpx.HTTPError:
        return False


def ask(store: Served, url: str, path: str, **sent: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {store.key}", **sent.pop("headers", {})}
    return httpx.get(f"{url}{path}", headers=headers, trust_env=False, timeout=None, **sent)


def test_an_error_of_our_own_is_internal_and_the_log_alone_has_the_rest(store: Served, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(store, log) as url:
        store.conn.execute("alter table raw.fetches rename column url to moved")
        store.conn.commit()
        try:
            answer = ask(store, url, "/v1/query", params={"featureIds": PRICE, "since": "2024-06-03T10:00:00Z"})
        finally:
            store.conn.execute("alter table raw.fetches rename column moved to url")
            store.conn.commit()
    assert answer.status_code == 500
    assert answer.json()["type"].endswith(":internal")
    assert "column" not in answer.text
    said = log.read_text()
    assert answer.json()["requestId"] in said
    assert 'column \\"url\\" does not exist' in said or 'column "url" does not exist' in said
    assert store.key not in said
    assert str(psycopg.conninfo.conninfo_to_dict(store.settings.postgres_dsn)["password"]) not in said


def test_pages_of_other_origins_are_let_in_where_the_settings_name_them(store: Served, tmp_path: Path) -> None:
    preflight = {"Origin": "https://desk.example", "Access-Control-Request-Method": "GET"}
    with process(store, tmp_path / "log", FEATURE_API_CORS_ORIGINS="https://desk.example, https://b.example") as url:
        let_in = httpx.options(f"{url}/v1/latest", headers=preflight, trust_env=False)
        other = httpx.options(f"{url}/v1/latest", headers={**preflight, "Origin": "https://c.example"}, trust_env=False)
        answer = ask(store, url, "/v1/latest", headers={"Origin": "https://desk.example"})
    assert let_in.headers["access-control-allow-origin"] == "https://desk.example"
    assert "access-control-allow-origin" not in other.headers
    assert answer.headers["access-control-allow-origin"] == "https://desk.example"
    assert "Link" in answer.headers["access-control-expose-headers"]
    assert (
        "access-control-allow-origin"
        not in httpx.options(f"{store.url}/v1/latest", headers=preflight, trust_env=False).headers
    )


def test_several_processes_serve_one_port(store: Served, tmp_path: Path) -> None:
    with process(store, tmp_path / "log", FEATURE_API_WORKERS="2") as url:
        for _ in range(10):
            assert ask(store, url, "/v1/latest").json() == store.get("/v1/latest").json()
