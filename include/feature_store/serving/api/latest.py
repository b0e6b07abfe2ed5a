"""The newest points from memory: read whole whenever the database says that they changed, and at least every second."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from traceback import format_exception

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from anyio import to_thread

from feature_store.errors import FeatureStoreError
from feature_store.serving.api.backend import Backend
from feature_store.serving.api.gate import App, Receive, Scope, Send
from feature_store.serving.api.problems import Problem
from feature_store.serving.api.wire import json_rows, wire_table
from feature_store.warehouse.connection import connect

CHANNEL = "features_latest"

TOO_OLD = 5.0
"""Seconds for which what was read is told while it cannot be read again: nobody gets old values for new ones."""

_EVERY = 1.0
"""Seconds after which it is read again whatever was heard: points go stale without anybody writing."""

_ANSWERS = 500
"""How many different questions' answers are kept between two readings."""

_QUESTIONS, _LONGEST = 2_000, 4_000
"""How many different query strings are remembered, and how long one may be."""

_JSON = (b"*/*", b"application/json")

log = structlog.get_logger()


@dataclass(frozen=True, eq=False)
class Latest:
    """All newest points as they were read at once."""

    points: pa.Table
    """As they go over the wire."""
    row: dict[str, int]
    """Which row is a feature's."""
    encoded: list[bytes]
    """Each row as JSON."""
    read_at: float
    """When, by the process's stopwatch."""
    answers: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    """JSON answers and how many points they have, by their query strings."""

    def chosen(self, features: Sequence[str]) -> pa.Table:
        """The points of some features, in that order, of those that have one."""
        return self.points.take([self.row[name] for name in features if name in self.row])

    def json(self, features: Sequence[str]) -> tuple[bytes, int]:
        """The JSON answer for some features, and how many points it has."""
        found = [self.encoded[self.row[name]] for name in features if name in self.row]
        missing = b",".join(b'"%s"' % name.encode() for name in features if name not in self.row)
        return b'{"points":[' + b",".join(found) + b'],"missing":[' + missing + b"]}", len(found)

    def answer(self, question: bytes, features: Sequence[str]) -> tuple[bytes, int]:
        """The same; remembers the answer to a question as it was sent."""
        answer = self.answers.get(question)
        if answer is None:
            answer = self.json(features)
            if len(self.answers) < _ANSWERS:
                self.answers[question] = answer
        return answer


class LatestShortcut:
    """Answers GET /v1/latest in JSON where the very question was asked before; passes everything else on."""

    def __init__(self, cache: "LatestCache", app: App) -> None:
        self._cache = cache
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        question = scope["query_string"]
        features = self._cache.questions.get(question)
        if features is None or any(name == b"accept" and value not in _JSON for name, value in scope["headers"]):
            await self._app(scope, receive, send)
            return
        body, points = self._cache.now().answer(question, features)
        scope["state"]["points"] = points
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class LatestCache:
    """Keeps the newest points in memory, on a thread of its own."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._held: Latest | None = None
        self.questions: dict[bytes, tuple[str, ...]] = {}
        """What was asked so far: query strings that are known to be right, and the features that they name."""
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="latest", daemon=True)

    async def start(self) -> None:
        """Read once and follow from then on; a database that is away is waited for."""
        try:
            await self.refresh()
        except FeatureStoreError as error:
            log.warning("latest cannot be read yet", error=str(error))
        self._thread.start()

    async def stop(self) -> None:
        """Follow no more."""
        self._stopping.set()
        await to_thread.run_sync(self._thread.join, 3)

    async def refresh(self) -> None:
        """Read now: what was committed before this call is seen from here on. Raises WarehouseError."""
        await to_thread.run_sync(self._read)

    def now(self) -> Latest:
        """What is known; raises Problem database-away when that is too old to be told."""
        held = self._held
        if held is None or monotonic() - held.read_at > TOO_OLD:
            raise Problem("database-away", "the newest points cannot be read, and older ones are not told for new")
        return held

    def learn(self, question: bytes, features: Sequence[str]) -> None:
        """Remember what a query string asks for, after it was found to be right."""
        if len(self.questions) < _QUESTIONS and len(question) < _LONGEST:
            self.questions[question] = tuple(features)

    def _read(self) -> None:
        # One after the other, or an earlier reading could replace a later one.
        with self._reading:
            started = monotonic()
            rows = self._backend.layer.latest()
            # A point whose calendar or definition the database does not know is of unknown age, and no fresh one.
            rows = rows.append_column("stale", pc.coalesce(rows["is_stale"], True))
            points = wire_table(self._backend.with_evidence(rows))
            ids = points["featureId"].to_pylist()
            encoded = [text.encode() for text in json_rows(points).to_pylist()]
            self._held = Latest(points, {name: row for row, name in enumerate(ids)}, encoded, started)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (psycopg.Error, FeatureStoreError) as error:
                log.warning("latest cannot be read", error=str(error).partition("\n")[0])
                self._stopping.wait(_EVERY)
            except Exception as error:  # whatever it was, the next reading may do
                log.error("latest cannot be read", traceback="".join(format_exception(error)))
                self._stopping.wait(_EVERY)

    def _listen(self) -> None:
        with connect(self._backend.settings.postgres_dsn, autocommit=True) as conn:
            conn.execute(f"listen {CHANNEL}")
            while not self._stopping.is_set():
                self._read()
                for _ in conn.notifies(timeout=_EVERY, stop_after=1):
                    pass
