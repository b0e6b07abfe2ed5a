"""Faults on demand: what sources do on a bad day, told over `/_faults` and kept in memory.

A fault waits for the next matching requests, spoils as many as its count says, and is gone. What it does to the
content of an answer is in `spoilt.py`.
"""

import asyncio
import threading
from decimal import Decimal
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feature_store.replay.mount import Mount
from feature_store.replay.spoilt import added, dropped, renamed, scaled

Kind = Literal[
    "status",
    "timeout",
    "truncated",
    "disconnected",
    "html",
    "renamed",
    "dropped",
    "added",
    "scaled",
    "ignored",
    "wrong_key",
]
NEEDS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "timeout": ("seconds",),
    "renamed": ("field", "to"),
    "dropped": ("field",),
    "added": ("field",),
    "scaled": ("field", "factor"),
    "ignored": ("parameter",),
}
"""What a kind cannot do without."""

HTML = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><h1>Checking your browser before you proceed</h1></body></html>"
)


class Fault(BaseModel):
    """One fault. Where `source`, `path` or `series` is unset it matches them all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    source: str | None = Field(None, description="Slug of the source, such as fred")
    path: str | None = Field(None, description="Part of the path, such as series/observations")
    series: str | None = Field(None, description="Series the request names, such as WALCL")
    count: int | None = Field(1, ge=1, description="Requests to spoil; null spoils all until cleared")
    status: Literal[400, 403, 404, 418, 429, 451, 500, 502, 503, 504] | None = Field(
        None, description="status: the code"
    )
    message: str = Field("", description="status: the source's words")
    retry_after: int | None = Field(None, ge=0, description="status: seconds in a Retry-After header; unset sends none")
    seconds: float | None = Field(None, ge=0, le=3600, description="timeout: how long the answer is held back")
    field: str | None = Field(
        None,
        description="renamed, dropped, added, scaled: name of the JSON field, or position in a nameless row, from 0",
    )
    to: str | None = Field(None, description="renamed: the new name, or position")
    factor: Decimal | None = Field(None, description="scaled: what the field's numbers are multiplied with")
    parameter: str | None = Field(None, description="ignored: query parameter the source overlooks")

    @model_validator(mode="after")
    def _is_complete(self) -> "Fault":
        missing = [name for name in NEEDS.get(self.kind, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a fault of kind {self.kind} needs {' and '.join(missing)}")
        return self

    def matches(self, source: str, path: str, series: str | None) -> bool:
        """Whether the fault is meant for this request."""
        return (
            self.source in {None, source} and (self.path is None or self.path in path) and self.series in {None, series}
        )


class Faults:
    """The faults that wait, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let a fault wait for its requests."""
        with self._lock:
            self._waiting.append(fault)

    def list(self) -> list[Fault]:
        """The faults that still wait, with the counts that remain."""
        with self._lock:
            return list(self._waiting)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._waiting.clear()

    def take(self, source: str, path: str, series: str | None) -> Fault | None:
        """The oldest fault that matches, counted down."""
        with self._lock:
            for at, fault in enumerate(self._waiting):
                if fault.matches(source, path, series):
                    if fault.count == 1:
                        del self._waiting[at]
                    elif fault.count:
                        self._waiting[at] = fault.model_copy(update={"count": fault.count - 1})
                    return fault
        return None


def admin_routes(faults: Faults) -> list[BaseRoute]:
    """`/_faults`: GET lists, POST adds one, DELETE clears."""

    async def admin(request: Request) -> Response:
        if request.method == "POST":
            try:
                faults.add(Fault.model_validate_json(await request.body()))
            except ValidationError as error:
                lines = [f"{'.'.join(map(str, e['loc'])) or 'fault'}: {e['msg']}" for e in error.errors()]
                return PlainTextResponse("\n".join(lines) + "\n", 422)
        elif request.method == "DELETE":
            faults.clear()
        shown = [fault.model_dump(mode="json", exclude_none=True) for fault in faults.list()]
        return JSONResponse(shown, 201 if request.method == "POST" else 200)

    return [Route("/_faults", admin, methods=["GET", "POST", "DELETE"])]


class FaultInjector:
    """ASGI wrapper that spoils the answers for which a fault waits."""

    def __init__(self, app: ASGIApp, faults: Faults, mounts: tuple[Mount, ...]) -> None:
        self.app = app
        self._faults = faults
        self._mounts = {mount.slug: mount for mount in mounts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, spoilt or not."""
        if scope["type"] == "http":
            mount = self._mounts.get(scope["path"].strip("/").split("/")[0])
            if mount is not None:
                request = Request(scope)
                fault = self._faults.take(mount.slug, scope["path"], mount.series_of(request))
                if fault is not None:
                    await self._spoil(fault, mount, request, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _spoil(self, fault: Fault, mount: Mount, request: Request, receive: Receive, send: Send) -> None:
        scope = request.scope
        answer = _answer_instead(fault, mount, request)
        if answer is not None:
            await answer(scope, receive, send)
        elif fault.kind == "timeout":
            await asyncio.sleep(fault.seconds or 0)
            await self.app(scope, receive, send)
        elif fault.kind == "ignored":
            await self.app(_without(scope, fault.parameter or ""), receive, send)
        elif fault.kind == "wrong_key":  # and the source asks for none
            await self.app(scope, receive, send)
        else:
            await self._rewrite(fault, scope, receive, send)

    async def _rewrite(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        started, body = await _collect(self.app, scope, receive)
        if fault.kind in {"truncated", "disconnected"}:
            changed = body[: len(body) // 2]
        else:
            changed = await run_in_threadpool(_edited, fault, body)
        length = len(body) if fault.kind == "disconnected" else len(changed)
        kept = [(name, value) for name, value in started["headers"] if name.lower() != b"content-length"]
        await send({**started, "headers": [*kept, (b"content-length", str(length).encode())]})
        await send({"type": "http.response.body", "body": changed, "more_body": fault.kind == "disconnected"})
        if fault.kind == "disconnected":
            raise ConnectionAbortedError("fault: the connection is cut in the middle of the body")


def _answer_instead(fault: Fault, mount: Mount, request: Request) -> Response | None:
    if fault.kind == "html":
        return Response(HTML, 200, media_type="text/html")
    if fault.kind == "wrong_key" and mount.wrong_key_message is not None:
        return mount.refuse(request, 400, mount.wrong_key_message)
    if fault.kind == "status" and fault.status:
        answer = mount.refuse(request, fault.status, fault.message, fault.retry_after)
        if fault.retry_after is not None:
            answer.headers["Retry-After"] = str(fault.retry_after)
        return answer
    return None


def _without(scope: Scope, parameter: str) -> Scope:
    pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    return {**scope, "query_string": urlencode([pair for pair in pairs if pair[0] != parameter]).encode()}


async def _collect(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The untouched answer, uncompressed so that it can be edited."""
    started: list[Message] = []
    parts: list[bytes] = []

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            parts.append(message.get("body", b""))

    headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
    await app({**scope, "headers": headers}, receive, keep)
    return started[0], b"".join(parts)


def _edited(fault: Fault, body: bytes) -> bytes:
    field = fault.field or ""
    if fault.kind == "renamed":
        return renamed(body, field, fault.to or "")
    if fault.kind == "dropped":
        return dropped(body, field)
    if fault.kind == "added":
        return added(body, field)
    return scaled(body, field, fault.factor or Decimal(1))
