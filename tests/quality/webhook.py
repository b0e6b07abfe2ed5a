"""A webhook over real HTTP: it keeps what it takes, and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.http_server import QuietHandler, listening_on

PATH = "/services/T0P/s3cret"


@dataclass
class Webhook:
    """What it took, in order, and the status of its next answers. While it is not `free`, nobody is answered."""

    url: str = ""
    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def told(self) -> list[tuple[str, str, str]]:
        """Event, subject and rule of what it took."""
        return [(each["event"], each["subject"], each["rule"]) for each in self.taken]


@contextmanager
def listening() -> Iterator[Webhook]:
    """Answer on a free port for as long as the block lasts."""
    webhook = Webhook()
    webhook.free.set()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.asked.set()
            assert webhook.free.wait(60)
            if webhook.status == 200 and self.path == PATH:
                webhook.taken.append(json.loads(body))
            self.send_response(webhook.status)
            if 300 <= webhook.status < 400:
                self.send_header("Location", webhook.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening_on(Handler) as address:
        webhook.url = address + PATH
        yield webhook
