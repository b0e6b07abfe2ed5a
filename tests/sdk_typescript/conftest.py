"""A served store, described by the variables that the TypeScript tests read."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.api.conftest import store as store  # noqa: PLC0414 - a fixture
from tests.api.served import Served, Told
from tests.http_server import QuietHandler, listening_on
from tests.sdk.flaky import Flaky, flaky_before

from .node import SDK, ensure_built

LONG = "crypto/eth/price_usd"
"""A feature with more points than two pages have."""
COUNT = 25_000
START = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The folder of the client, installed and built."""
    ensure_built(SDK, "dist/index.js", [*(SDK / "src").glob("*.ts"), SDK / "tsconfig.build.json"])
    return SDK


@pytest.fixture(scope="module")
def place(store: Served) -> Mapping[str, str]:
    """Where the store is, and a key that reads."""
    return {"FEATURE_STORE_API_URL": store.url, "FEATURE_STORE_API_KEY": store.key}


@pytest.fixture(scope="module")
def described(store: Served, place: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """All that sdk/typescript/tests/store.ts reads."""
    minutes = (START + timedelta(minutes=number) for number in range(COUNT))
    store.append([Told(LONG, ts, 3000.0 + ts.minute, ts + timedelta(minutes=1)) for ts in minutes])
    with flaky_before(store.url) as flaky, listening_on(_control_of(flaky)) as control:
        yield {
            **place,
            "FEATURE_STORE_TEST_PUBLISH_KEY": store.key_with("read", "publish", rate_limit_rpm=0),
            "FEATURE_STORE_TEST_FLAKY_URL": flaky.url,
            "FEATURE_STORE_TEST_CONTROL_URL": control,
        }


def _control_of(flaky: Flaky) -> type[QuietHandler]:
    """Takes what the flaky server is to do, and tells what it saw since."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            flaky.faults[:] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            flaky.seen.clear()
            self._say(b"{}")

        def do_GET(self) -> None:
            seen = [{name.lower(): value for name, value in headers.items()} for headers in flaky.seen]
            self._say(json.dumps(seen).encode())

        def _say(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
