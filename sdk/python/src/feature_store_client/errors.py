"""Every error this package raises on purpose.

FeatureStoreError
├── ConfigurationError      no address or no key, or one that cannot be right; an extra is not installed
├── InvalidRequest          the question makes no sense; `errors` names each mistake
│   ├── TooLarge            more than one request may carry
│   ├── IdempotencyMismatch the idempotency key was used for other points
│   └── PointsRejected      points failed, and nothing was written; `errors` names them
├── AuthenticationError     the key is missing, not valid or expired
├── PermissionDenied        the key lacks the scope
├── NotFound                there is nothing of that kind
│   ├── UnknownFeature      the catalog has no such feature
│   ├── NoPointYet          the feature has no point yet
│   └── BytesExpired        the bytes of an answer were let go, as the catalog says
├── RateLimited             too many requests; `retry_after` says for how long
├── ServiceUnavailable      the store, or what it stands on, is away for now
├── ConnectionFailed        no whole answer came
│   └── TimedOut            not in time
├── ServerError             the store failed for a reason of its own; its log has more under `request_id`
└── UnexpectedAnswer        what answered does not speak as the store does

RateLimited, ServiceUnavailable and ConnectionFailed were tried again before they were raised. A message says what
happened and what to do. None carries the key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feature_store_client.results import PointError


class FeatureStoreError(Exception):
    """Root of the tree: catch this to catch everything raised on purpose."""

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem` is what the store answered (RFC 9457); errors that arise here have none."""
        super().__init__(message)
        told = problem or {}
        self.status: int | None = told.get("status")
        """Of the answer."""
        self.slug: str | None = told.get("slug")
        """What kind of problem it is, for example `unknown-feature`."""
        self.detail: str | None = told.get("detail")
        self.remedy: str | None = told.get("remedy")
        self.request_id: str | None = told.get("requestId")
        """The store's log has more under it."""
        self.retry_after: float | None = told.get("retryAfter")
        """In how many seconds to come again, where the answer says it."""
        self.errors: Sequence[Any] = told.get("errors") or ()
        """Each mistake, where there may be several."""


class ConfigurationError(FeatureStoreError):
    """No address or no key is given, or one that cannot be right, or an extra is not installed."""


class InvalidRequest(FeatureStoreError):
    """The question makes no sense."""


class TooLarge(InvalidRequest):
    """It is more than one request may carry."""


class IdempotencyMismatch(InvalidRequest):
    """The idempotency key was used for other points."""


class PointsRejected(InvalidRequest):
    """Points failed, and nothing was written."""

    errors: Sequence[PointError]


class AuthenticationError(FeatureStoreError):
    """The key is missing, not valid or expired."""


class PermissionDenied(FeatureStoreError):
    """The key lacks the scope."""


class NotFound(FeatureStoreError):
    """There is nothing of that kind."""


class UnknownFeature(NotFound):
    """The catalog has no such feature."""


class NoPointYet(NotFound):
    """The feature has no point yet."""


class BytesExpired(NotFound):
    """The bytes of an answer were let go, as the catalog says."""


class RateLimited(FeatureStoreError):
    """Too many requests."""


class ServiceUnavailable(FeatureStoreError):
    """The store, or what it stands on, is away for now."""


class ConnectionFailed(FeatureStoreError):
    """No whole answer came."""


class TimedOut(ConnectionFailed):
    """No whole answer came in time."""


class ServerError(FeatureStoreError):
    """The store failed for a reason of its own."""


class UnexpectedAnswer(FeatureStoreError):
    """What answered does not speak as the store does."""
