"""What every request passes: its id, the size of its body, its key, and the headers of its answer."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from traceback import format_exception
from typing import Any
from uuid import uuid4

import structlog

from feature_store.serving.api.access import Access, Caller
from feature_store.serving.api.problems import MEDIA_TYPE, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MOST_BYTES = 8 * 1024 * 1024
"""Of a body."""

# What is counted: other paths are anybody's invention.
ENDPOINTS = ("catalog", "latest", "query", "historical", "revisions", "explain", "payloads", "publish")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_SAID = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

log = structlog.get_logger()


class Gate:
    """The outermost part of the application: a plain ASGI application, for it is passed thousands of times a second."""

    def __init__(self, app: App, access: Access, shortcuts: dict[str, App]) -> None:
        """`shortcuts` answer GET of some paths themselves where they can; see `shortcut_taken`."""
        self._app = app
        self._access = access
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        answer = _Answer(send, _request_id(headers))
        scope.setdefault("state", {})
        scope["state"] |= {"request_id": answer.request_id, "points": 0}
        caller, began = None, perf_counter()
        try:
            if scope["path"].startswith("/v1/"):
                caller = scope["state"]["caller"] = await self._admitted(scope, headers, answer)
            bounded = _bounded(headers, receive)
            app = self._shortcuts.get(scope["path"], self._app) if scope["method"] == "GET" else self._app
            await app(scope, bounded, answer.send)
        except Problem as problem:
            await answer.refuse(problem, scope["path"])
        except Exception as error:
            # Written here, for a logger might add what variables hold, and one of them holds the key.
            told = {"requestId": answer.request_id, "method": scope["method"], "path": scope["path"]}
            log.error("a request failed", **told, traceback="".join(format_exception(error)))
            await answer.refuse(internal(), scope["path"])
        self._record(caller, scope, answer.status, perf_counter() - began)

    async def _admitted(self, scope: Scope, headers: dict[bytes, bytes], answer: "_Answer") -> Caller:
        sent = headers.get(b"authorization")
        caller = await self._access.caller(None if sent is None else sent.decode("latin-1"))
        limits = await self._access.admit(caller)
        answer.extra += [(name.lower().encode(), value.encode()) for name, value in limits.items()]
        needed = "publish" if scope["path"] == "/v1/publish" else "read"
        if not {needed, "admin"} & set(caller.scopes):
            raise Problem("missing-scope", f"the key {caller.name!r} lacks the scope {needed}", scope=needed)
        return caller

    def _record(self, caller: Caller | None, scope: Scope, status: int, seconds: float) -> None:
        _, version, endpoint, *_ = f"{scope['path']}//".split("/")
        if not status or version != "v1" or endpoint not in ENDPOINTS:
            return
        self._access.took(f"/v1/{endpoint}", status, seconds)
        if caller is not None:
            self._access.note(caller, f"/v1/{endpoint}", scope["state"]["points"])


def internal() -> Problem:
    """What is told of an error that nobody foresaw."""
    return Problem("internal", "the request failed for a reason of our own")


class _Answer:
    """One answer as it is sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.extra: Headers = []
        self.status = 0
        """0 until the answer begins."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of it was sent."""
        return self.status != 0

    async def send(self, message: Message) -> None:
        """Pass a message on, the first with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            said = {name.lower() for name, _ in headers}
            headers += [pair for pair in _UNLESS_SAID if pair[0] not in said]
            message["headers"] = [*headers, *_ALWAYS, (b"x-request-id", self.request_id.encode()), *self.extra]
        await self._send(message)

    async def refuse(self, problem: Problem, path: str) -> None:
        """Answer with a problem, unless an answer is under way: then it just ends, and the client sees it cut off."""
        if self.has_begun:
            return
        body = problem.body(path, self.request_id)
        told = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **problem.headers}
        if problem.kind.status == 401:
            told.setdefault("WWW-Authenticate", "Bearer")
        headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        await self.send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _request_id(headers: dict[bytes, bytes]) -> str:
    sent = headers.get(b"x-request-id", b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else uuid4().hex


def _bounded(headers: dict[bytes, bytes], receive: Receive) -> Receive:
    """Receive no more than MOST_BYTES; raises Problem too-large at once where Content-Length says so."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > MOST_BYTES:
        raise _too_large()
    if b"transfer-encoding" not in headers:
        return receive  # the server holds the body to its length
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BYTES:
            raise _too_large()
        return message

    return counted


def _too_large() -> Problem:
    # The rest of the body is not read, so nothing more can come over this connection.
    return Problem("too-large", f"a body has at most {MOST_BYTES} bytes", headers={"Connection": "close"})
