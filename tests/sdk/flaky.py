"""A server between a client and the store that spoils the next answers, in a row, and passes on the rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.http_server import QuietHandler, listening_on


@dataclass
class Flaky:
    """What it will do, and what it saw."""

    upstream: str
    url: str = ""
    faults: list[str] = field(default_factory=list)
    """A status ("503", "429 after 0"), "drop", "lose" (the store answers, and nobody hears), "cut" or "html"."""
    seen: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request."""


@contextmanager
def flaky_before(upstream: str) -> Iterator[Flaky]:
    """A flaky server before another one, for as long as the block lasts."""
    flaky = Flaky(upstream)

    class Handler(_Handler):
        plan = flaky

    with listening_on(Handler) as flaky.url:
        yield flaky


class _Handler(QuietHandler):
    plan: Flaky
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.plan.seen.append(dict(self.headers.items()))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.plan.faults.pop(0) if self.plan.faults else ""
        if fault[:3].isdigit():
            self._refuse(fault)
        elif fault == "html":
            self._say(200, {"Content-Type": "text/html"}, b"<html>Log in</html>")
        elif fault == "drop":
            self.close_connection = True
        else:
            self._pass_on(body, fault)

    def _refuse(self, fault: str) -> None:
        status, _, seconds = fault.partition(" after ")
        self._say(int(status), {"Retry-After": seconds} if seconds else {}, b"not now")

    def _pass_on(self, body: bytes, fault: str) -> None:
        sent = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        with httpx.Client(base_url=self.plan.upstream, trust_env=False, timeout=None) as client:
            answer = client.request(self.command, self.path, content=body, headers=sent)
        if fault == "lose":
            self.close_connection = True
            return
        dropped = ("content-length", "transfer-encoding", "connection")
        headers = {name: value for name, value in answer.headers.items() if name not in dropped}
        self._say(answer.status_code, headers, answer.content, is_cut=fault == "cut")

    def _say(self, status: int, headers: dict[str, str], content: bytes, *, is_cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        self.close_connection = self.close_connection or is_cut
