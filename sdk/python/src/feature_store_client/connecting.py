"""How both clients reach the store: where it is, the key, and when to try again."""

import os
import platform
from dataclasses import dataclass, field

import httpx

from feature_store_client.errors import (
    ConfigurationError,
    ConnectionFailed,
    RateLimited,
    ServiceUnavailable,
)
from feature_store_client.wire import Request

URL = "FEATURE_STORE_API_URL"
KEY = "FEATURE_STORE_API_KEY"  # the name of a variable

LONGEST_WAIT_SECONDS = 75.0
"""An answer that asks for more patience is raised at once: come again then. A minute's limit is shorter."""

ALL_ATTEMPTS_SECONDS = 120.0


@dataclass(frozen=True)
class Connection:
    """Where the store is and how it is asked. The key is in `headers` alone, which httpx shows as [secure]."""

    url: httpx.URL
    headers: httpx.Headers = field(repr=False)
    timeout: httpx.Timeout
    attempts: int

    @classmethod
    def of(cls, url: str | None, api_key: str | None, timeout: float, attempts: int) -> "Connection":
        """From arguments, or the environment where they are absent; raises ConfigurationError."""
        address = _address(url or os.environ.get(URL) or "")
        headers = httpx.Headers(
            {
                "Authorization": f"Bearer {_key(api_key or os.environ.get(KEY) or '')}",
                "User-Agent": f"feature-store-client Python/{platform.python_version()}",
            }
        )
        if timeout <= 0 or attempts < 1:
            raise ConfigurationError(f"timeout is {timeout} and attempts {attempts}: both are more than nothing")
        return cls(address, headers, httpx.Timeout(timeout, connect=min(timeout, 10.0)), attempts)

    def request(self, client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
        """The request as httpx sends it."""
        return client.build_request(
            request.method,
            request.path,
            params=list(request.params),
            content=request.content,
            headers={"Accept": request.accept, **request.headers},
        )


def patience(error: Exception) -> bool | float:
    """Whether to try again after an error, and after how many seconds where the store names them."""
    if isinstance(error, ConnectionFailed):
        return True
    if not isinstance(error, RateLimited | ServiceUnavailable):
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_WAIT_SECONDS else False


def _address(url: str) -> httpx.URL:
    if not url:
        raise ConfigurationError(f"where is the store? Give its url, or set {URL}, for example http://127.0.0.1:18000")
    try:
        found = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"the store's address cannot be read: {error}") from None
    if found.scheme not in ("http", "https") or not found.host or found.userinfo or found.query or found.fragment:
        raise ConfigurationError("the store's address is http(s)://host:port, maybe with a path, and nothing else")
    return found


def _key(key: str) -> str:
    """The key without what a shell or a file left around it. No message shows it."""
    found = key.strip()
    if not found:
        raise ConfigurationError(
            f"the store needs a key: give api_key, or set {KEY}; `feature-store keys create` makes one"
        )
    if not (found.isascii() and found.isprintable()) or " " in found:
        raise ConfigurationError("the key holds characters that no key has: was something else pasted?")
    return found
