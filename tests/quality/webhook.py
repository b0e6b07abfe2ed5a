"""A webhook over real HTTP: it keeps what it takes, and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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

    class Handler(BaseHTTPRequestHandler):
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

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    webhook.url = f"http://127.0.0.1:{server.server_port}{PATH}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
