"""HTTP for connectors: a shared rate budget and circuit, retries, and errors sorted by what the caller should do."""

import logging
import ssl
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import count
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import httpx
import stamina

from feature_store.catalog.contracts import UsedWeight
from feature_store.errors import Refused, Retriable, SourceError, TooFast
from feature_store.sources.budget import Limiter
from feature_store.sources.circuit import Circuit
from feature_store.sources.contract import Payload
from feature_store.sources.patience import (
    ADVICE,
    LONGEST_WAIT_SECONDS,
    patience,
    seconds_to_next_minute,
    slow_down,
    spent,
    stated_seconds,
)

# httpx logs whole URLs at INFO, and FRED's and Etherscan's keys are query parameters.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

USER_AGENT = "Mozilla/5.0 (compatible; feature-store)"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
BRIEF_SECONDS = 6.0
"""What one host of many is given for its answer, whole: the others are not kept waiting for it."""


@dataclass(frozen=True)
class Host:
    """One of the hosts of a source that has many: its root, and its own circuit."""

    base_url: str
    circuit: Circuit | None = None


@dataclass(frozen=True)
class OwnAddress:
    """A base URL that the user brought and that is a secret: its setting's name stands for it in all that is stored or
    said. Its query goes out with every request."""

    setting: str
    url: str = field(repr=False)

    def is_whole(self) -> bool:
        """Whether it can be asked at all."""
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            return False
        return url.scheme in {"http", "https"} and bool(url.host)

    def parts(self) -> list[str]:
        """What of it an answer or an error may repeat."""
        address = urlsplit(self.url)
        path = address.path.rstrip("/")
        host = [address.netloc, address.hostname, address.username, address.password]
        return [part for part in (self.url, *host, path, path.lstrip("/")) if part]


class Http:
    """GET below one base URL. `secret_params` go out with every request and appear nowhere else. `now` gives the
    store's time, which answers are stamped with.

    With a `circuit` all processes leave the host alone when it asks any of them to; it also carries what the host
    says of its `used_weight`. Without one, each request is patient for itself. `hosts` are those of a source that has
    many, by their names in the catalog; see `at`.
    """

    def __init__(  # noqa: PLR0913 - put together in one place, from the catalog
        self,
        base_url: str | OwnAddress,
        limiter: Limiter,
        secret_params: Mapping[str, str],
        now: Callable[[], datetime],
        circuit: Circuit | None = None,
        used_weight: UsedWeight | None = None,
        hosts: Mapping[str, Host] | None = None,
    ) -> None:
        own = base_url if isinstance(base_url, OwnAddress) else None
        address = urlsplit(base_url.url if isinstance(base_url, OwnAddress) else base_url)
        self._base_url = urlunsplit(address._replace(query="", fragment="")).rstrip("/")
        self._shown_as = own.setting if own else None
        self._limiter = limiter
        self._secrets = {**dict(parse_qsl(address.query)), **secret_params}
        self._unsaid = sorted([*self._secrets.values(), *(own.parts() if own else ())], key=len, reverse=True)
        self.now = now
        self._circuit = circuit
        self._used_weight = used_weight
        self._hosts = dict(hosts or {})
        self._attempts, self._longest_wait, self._longest_answer = ATTEMPTS, LONGEST_WAIT_SECONDS, inf
        self._client = _client(TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def at(self, host: str, now: Callable[[], datetime]) -> "Http":
        """The same of one of the source's hosts, to be closed by itself: with its own circuit and connections, and
        without patience. It asks once, gives the answer BRIEF_SECONDS, and waits for no circuit.

        `now` stands in for the store's clock: whoever asks from another thread keeps that thread away from what is
        behind it.
        """
        there = copy(self)
        there._base_url, there._circuit = self._hosts[host].base_url.rstrip("/"), self._hosts[host].circuit
        there.now, there._client = now, _client(BRIEF_SECONDS)
        there._attempts, there._longest_wait, there._longest_answer = 1, 0.0, BRIEF_SECONDS
        return there

    def get(self, endpoint: str, params: Mapping[str, str], context: Mapping[str, Any] | None = None) -> Payload:
        """Ask once budget and circuit allow, again while it may help; the answer with status 200.

        Raises Refused for what asking again cannot mend, Retriable when the last attempt failed too or the source
        asks for more patience than a request has, CircuitOpen when it asked for that before: then nothing is sent.
        All but the last carry the answer, if one came, as `payload`. WarehouseError when the database that holds
        budget and circuit is away.
        """
        tries = count(1)
        for attempt in stamina.retry_context(
            on=lambda error: _wait_for(error, next(tries)), attempts=self._attempts, timeout=None, wait_max=60
        ):
            with attempt:
                self._await_turn(endpoint)
                return self._once(endpoint, params, context or {})
        raise AssertionError("unreachable: the last attempt raises")

    def leave_alone(self, reason: str, seconds: float) -> None:
        """Keep all processes from asking the host for so long, in real time: an answer with status 200 said so."""
        if self._circuit is not None:
            self._circuit.pause(reason, seconds)

    def redact(self, text: str) -> str:
        """A text without the credentials: for whoever quotes an answer, which may repeat them."""
        for secret in self._unsaid:
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text

    def _await_turn(self, endpoint: str) -> None:
        self._is_delayed()
        self._limiter.try_acquire(endpoint)
        while self._is_delayed():  # the circuit opened during the wait for the budget, whose turn is over by now
            self._limiter.try_acquire(endpoint)

    def _is_delayed(self) -> bool:
        return self._circuit is not None and self._circuit.wait(self._longest_wait)

    def _once(self, endpoint: str, params: Mapping[str, str], context: Mapping[str, Any]) -> Payload:
        url = f"{self._base_url}/{endpoint}"
        shown = str(httpx.URL(f"{self._shown_as or self._base_url}/{endpoint}", params=dict(params)))
        started = monotonic()
        try:
            answer, content = self._ask(url, params)
        except httpx.RequestError as error:
            said = f"no answer ({self.redact(str(error) or type(error).__name__)})"
            raise Retriable(f"{shown}: {said}", wait_seconds=self._leave_alone(said, patience(None), None)) from None
        payload = Payload(
            endpoint=endpoint,
            url=shown,
            params=dict(params),
            status=answer.status_code,
            content_type=answer.headers.get("content-type", ""),
            content=content,
            elapsed_ms=round((monotonic() - started) * 1000),
            fetched_at=self.now(),
            context=context,
        )
        failure = self._judge(payload, answer.headers)
        self._heed_used_weight(answer.headers)
        if failure is not None:
            raise failure
        return payload

    def _ask(self, url: str, params: Mapping[str, str]) -> tuple[httpx.Response, bytes]:
        """The answer and its body. The client's time-out holds for each piece, so a trickle is stopped here."""
        started, parts = monotonic(), []
        with self._client.stream("GET", url, params={**params, **self._secrets}) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                if monotonic() - started > self._longest_answer:
                    raise httpx.ReadTimeout(f"not whole after {self._longest_answer:g} seconds")
        return answer, b"".join(parts)

    def _judge(self, payload: Payload, headers: Mapping[str, str]) -> SourceError | None:
        status = payload.status
        usual = patience(status)
        if usual is None and self._circuit is not None:
            self._circuit.succeeded()
        if status == httpx.codes.OK:
            return None
        body = self.redact(payload.content.decode("utf-8", "replace"))
        said = f"answered {status}: {body.strip()[:300]}"
        if status in ADVICE:
            said = f"{said}. {ADVICE[status]}"
        text = f"{payload.url} {said}"
        wait = self._leave_alone(said, usual, stated_seconds(headers, body))
        if usual is None or status in ADVICE:
            return Refused(text, payload)
        if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.IM_A_TEAPOT):
            return TooFast(text, payload, wait)
        return Retriable(text, payload, wait)

    def _leave_alone(self, said: str, usual: Callable[[int], float] | None, stated: float | None) -> float | None:
        """Open the circuit where that is due; for how many seconds this request has to wait, if that is known."""
        if self._circuit is None or usual is None:
            return stated
        return self._circuit.failed(said, lambda failures: stated or usual(failures)) or None

    def _heed_used_weight(self, headers: Mapping[str, str]) -> None:
        reason = spent(headers, self._used_weight) if self._used_weight else None
        if reason and self._circuit is not None:
            self._circuit.pause(reason, seconds_to_next_minute())


def _client(seconds: float) -> httpx.Client:
    return httpx.Client(timeout=seconds, headers={"User-Agent": USER_AGENT}, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    # Reading the certificates takes longer than asking, and a round asks a dozen times.
    return httpx.create_ssl_context()


def _wait_for(error: Exception, tries: int) -> bool | float:
    """Whether to try again and, where the answer says so, after how many seconds."""
    if not isinstance(error, Retriable):
        return False
    wait = error.wait_seconds
    if wait is None and isinstance(error, TooFast):
        wait = slow_down(tries)
    if wait is None:
        return True
    return wait if wait <= LONGEST_WAIT_SECONDS else False
