"""HTTP for connectors: a shared rate budget, retries, and errors sorted by what the caller should do."""

import logging
from collections.abc import Mapping
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx
import stamina
from pyrate_limiter import Limiter

from feature_store.errors import Refused, Retriable, SourceError, TooFast
from feature_store.sources.contract import Payload

# httpx logs whole URLs at INFO, and FRED's and Etherscan's keys are query parameters.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

USER_AGENT = "Mozilla/5.0 (compatible; feature-store)"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
SLOW_DOWN_SECONDS = 20.0  # FRED sends no Retry-After: its documentation asks for patience, not for a number
LONGEST_WAIT_SECONDS = 120.0


class Http:
    """GET below one base URL. `secret_params` go out with every request and appear nowhere else."""

    def __init__(self, base_url: str, limiter: Limiter, secret_params: Mapping[str, str]) -> None:
        self._base_url = base_url.rstrip("/")
        self._limiter = limiter
        self._secrets = dict(secret_params)
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, headers={"User-Agent": USER_AGENT})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, endpoint: str, params: Mapping[str, str], context: Mapping[str, Any] | None = None) -> Payload:
        """Ask once the budget allows, again while it may help; the answer with status 200.

        Raises Refused for what asking again cannot mend, Retriable when the last attempt failed too. Either carries
        the answer, if one came, as `payload`.
        """
        tries = count(1)
        for attempt in stamina.retry_context(
            on=lambda error: _wait_for(error, next(tries)), attempts=ATTEMPTS, timeout=None, wait_max=60
        ):
            with attempt:
                self._limiter.try_acquire(endpoint)
                return self._once(endpoint, params, context or {})
        raise AssertionError("unreachable: the last attempt raises")

    def _once(self, endpoint: str, params: Mapping[str, str], context: Mapping[str, Any]) -> Payload:
        url = f"{self._base_url}/{endpoint}"
        shown = str(httpx.URL(url, params=dict(params)))
        started = monotonic()
        try:
            answer = self._client.get(url, params={**params, **self._secrets})
        except httpx.TransportError as error:
            raise Retriable(f"{shown}: no answer ({self._redact(str(error) or type(error).__name__)})") from None
        payload = Payload(
            endpoint=endpoint,
            url=shown,
            params=dict(params),
            status=answer.status_code,
            content_type=answer.headers.get("content-type", ""),
            content=answer.content,
            elapsed_ms=round((monotonic() - started) * 1000),
            context=context,
        )
        if answer.status_code != httpx.codes.OK:
            raise self._failure(payload, answer.headers.get("retry-after"))
        return payload

    def _failure(self, payload: Payload, retry_after: str | None) -> SourceError:
        body = self._redact(payload.content[:300].decode("utf-8", "replace").strip())
        text = f"{payload.url} answered {payload.status}: {body}"
        if payload.status == httpx.codes.TOO_MANY_REQUESTS:
            stated = float(retry_after) if retry_after and retry_after.isdigit() else None
            return TooFast(text, payload=payload, wait_seconds=stated)
        if payload.status >= httpx.codes.INTERNAL_SERVER_ERROR or payload.status == httpx.codes.REQUEST_TIMEOUT:
            return Retriable(text, payload=payload)
        return Refused(text, payload=payload)

    def _redact(self, text: str) -> str:
        for secret in self._secrets.values():
            text = text.replace(secret, "***")
        return text


def _wait_for(error: Exception, tries: int) -> bool | float:
    """Whether to try again and, where the answer says so, after how many seconds."""
    if isinstance(error, TooFast):
        wait = error.wait_seconds or SLOW_DOWN_SECONDS * 2 ** (tries - 1)
        return min(wait, LONGEST_WAIT_SECONDS)
    return isinstance(error, Retriable)
