"""The replay server on a free port, for as long as a `with` block lasts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from feature_store.replay.app import create_app
from feature_store.replay.mount import Now
from feature_store.replay.schedule import Schedule
from feature_store.replay.server import config

KEY = "abcdefghijklmnopqrstuvwxyz123456"


@contextmanager
def serving(folder: Path, now: Now, schedule: Schedule | None = None) -> Iterator[str]:
    """Serve `folder` at `now()` over real HTTP; yields the base URL, to which `/fred` is added."""
    server = uvicorn.Server(config(create_app(folder, now, schedule), port=0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the replay server did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


class Wall:
    """A clock to hang up and turn by hand."""

    def __init__(self, instant: str) -> None:
        self.turn(instant)

    def turn(self, instant: str) -> None:
        self.now = datetime.fromisoformat(instant)

    def __call__(self) -> datetime:
        return self.now


def write(folder: Path, series: str, text: str, stream: str = "fred/observations") -> Path:
    """Put one series into a folder."""
    path = folder / stream / f"{series}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Fred:
    """A client that knows a well-formed key and asks for JSON."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = httpx.Client(base_url=f"{base_url}/fred", timeout=None, trust_env=False)

    def get(self, path: str, series: str = "", **params: str | int) -> httpx.Response:
        asked = {"series_id": series, "api_key": KEY, "file_type": "json", **params}
        return self.http.get(path, params={name: value for name, value in asked.items() if value != ""})

    def rows(self, series: str, **params: str | int) -> list[tuple[str, str, str, str]]:
        """The observations as (date, realtime_start, realtime_end, value)."""
        answer = self.get("series/observations", series, **params)
        assert answer.status_code == 200, answer.text
        return [(r["date"], r["realtime_start"], r["realtime_end"], r["value"]) for r in answer.json()["observations"]]

    def all_rows(self, series: str, **params: str | int) -> list[tuple[str, str, str, str]]:
        return self.rows(series, realtime_start="1776-07-04", realtime_end="9999-12-31", **params)

    def vintages(self, series: str, **params: str | int) -> list[str]:
        answer = self.get("series/vintagedates", series, **params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["vintage_dates"])

    def refusal(self, path: str, series: str = "", **params: str | int) -> str:
        answer = self.get(path, series, **params)
        assert answer.status_code == 400, answer.text
        return str(answer.json()["error_message"])


CANDLES = "ts,open,high,low,close,volume,quote_volume,trades,taker_base_volume,taker_quote_volume"


def candle(start: str, minutes: int, price: float = 100) -> str:
    """A row of a table of candles, so many minutes after `start`."""
    at = datetime.fromisoformat(start) + timedelta(minutes=minutes)
    cells = (price, price + 2, price - 1.5, price + 1, 2.5, 2.5 * price, 25, 1, price)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}," + ",".join(map(str, cells))


def candles(folder: Path, symbol: str, rows: list[str], stream: str = "klines_1m") -> Path:
    """Put a table of candles into a folder."""
    return write(folder, symbol, "\n".join([CANDLES, *rows]) + "\n", f"binance/{stream}")


def ms(instant: str) -> int:
    """Milliseconds since 1970."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


class Binance:
    """A client of both of Binance's hosts, which are one here."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = httpx.Client(base_url=f"{base_url}/binance", timeout=None, trust_env=False)

    def get(self, path: str, **params: str | int) -> httpx.Response:
        return self.http.get(path, params=params)

    def ok(self, path: str, **params: str | int) -> Any:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def klines(self, symbol: str, interval: str = "1m", **params: str | int) -> list[list[Any]]:
        return list(self.ok("/api/v3/klines", symbol=symbol, interval=interval, **params))

    def funding(self, symbol: str, **params: str | int) -> list[dict[str, Any]]:
        return list(self.ok("/fapi/v1/fundingRate", symbol=symbol, **params))
