"""A source that answers as it is told and writes down when it was asked, over real HTTP."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time

from tests.http_server import QuietHandler, listening_on


@dataclass(frozen=True)
class Answer:
    """One answer; status 0 hangs up instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "{}"


def wall() -> datetime:
    """Now, for answers whose time does not matter."""
    return datetime.now(UTC)


class Upstream:
    """What waits to be answered, oldest first and then `usual` for ever, and when requests arrived (epoch
    seconds), for which paths."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[Answer] = deque()
        self.usual = Answer()
        self.arrivals: list[float] = []
        self.paths: list[str] = []
        self.arrived = threading.Condition()

    def note(self) -> Answer:
        with self.arrived:
            self.arrivals.append(time())
            self.arrived.notify_all()
            return self.answers.popleft() if self.answers else self.usual

    def wait_for(self, arrivals: int) -> None:
        """Until so many requests have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.arrivals) >= arrivals, timeout=60)


@contextmanager
def answering() -> Iterator[Upstream]:
    """Answer on a free port for as long as the block lasts."""
    upstream = Upstream()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            upstream.paths.append(self.path)
            answer = upstream.note()
            if answer.status == 0:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body.encode())))
            self.end_headers()
            self.wfile.write(answer.body.encode())

    with listening_on(Handler) as upstream.url:
        yield upstream
