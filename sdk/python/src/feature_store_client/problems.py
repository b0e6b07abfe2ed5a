"""Answers that are no success, as errors."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from feature_store_client import errors
from feature_store_client.results import PointError
from feature_store_client.wire import Answer, Request, built

_TYPE = "urn:feature-store:problem:"

_OF_SLUG: Mapping[str, type[errors.FeatureStoreError]] = {
    "missing-key": errors.AuthenticationError,
    "invalid-key": errors.AuthenticationError,
    "expired-key": errors.AuthenticationError,
    "missing-scope": errors.PermissionDenied,
    "rate-limited": errors.RateLimited,
    "unknown-feature": errors.UnknownFeature,
    "invalid-request": errors.InvalidRequest,
    "not-found": errors.NotFound,
    "too-large": errors.TooLarge,
    "points-failed": errors.PointsRejected,
    "idempotency-mismatch": errors.IdempotencyMismatch,
    "expired-bytes": errors.BytesExpired,
    "archive-away": errors.ServiceUnavailable,
    "database-away": errors.ServiceUnavailable,
    "internal": errors.ServerError,
}

# For what lies between us and the store and speaks for itself, and for slugs of a later store.
_OF_STATUS: Mapping[int, type[errors.FeatureStoreError]] = {
    400: errors.InvalidRequest,
    401: errors.AuthenticationError,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    406: errors.InvalidRequest,
    410: errors.NotFound,
    413: errors.TooLarge,
    415: errors.InvalidRequest,
    422: errors.InvalidRequest,
    429: errors.RateLimited,
    500: errors.ServerError,
    502: errors.ServiceUnavailable,
    503: errors.ServiceUnavailable,
    504: errors.ServiceUnavailable,
}


def require_success(answer: Answer) -> Answer:
    """The answer, unless it is a problem, which is raised."""
    if answer.status == 200:
        return answer
    problem = _problem(answer)
    kind = _OF_SLUG.get(problem.get("slug", "")) or _OF_STATUS.get(answer.status, errors.UnexpectedAnswer)
    problem["errors"] = [point_error(each) if "rule" in each else each for each in problem.get("errors") or ()]
    raise kind(_words(answer, problem), problem)


def point_error(told: Mapping[str, Any], offset: int = 0) -> PointError:
    """A failed point as the wire tells it; `offset` is the index of the first point of its request."""
    return built(PointError, {**told, "index": told["index"] + offset})


def lost(request: Request, error: httpx.HTTPError) -> errors.FeatureStoreError:
    """What a request without a whole answer raises. It leaves out the error itself, whose frames hold the key."""
    said = f"{request.method} {request.path}: {str(error) or type(error).__name__}"
    if isinstance(error, httpx.TimeoutException):
        return errors.TimedOut(
            f"no answer came in time to {said}; is the store busy? Ask for less, or raise `timeout`."
        )
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError):
        return errors.ConnectionFailed(f"no answer came to {said}; does the store run at that address?")
    return errors.UnexpectedAnswer(f"no answer that can be read came to {said}")


def _problem(answer: Answer) -> dict[str, Any]:
    """What the answer tells of a problem, under names of our own where the wire has none."""
    told: Any = {}
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            told = json.loads(answer.content)
        except ValueError:
            told = {}
    problem = dict(told) if isinstance(told, dict) else {}
    kind = str(problem.get("type", ""))
    if kind.startswith(_TYPE):
        problem["slug"] = kind.removeprefix(_TYPE)
    problem["status"] = answer.status
    problem.setdefault("requestId", answer.headers.get("x-request-id"))
    problem["retryAfter"] = _seconds(answer.headers.get("retry-after"))
    return problem


def _words(answer: Answer, problem: Mapping[str, Any]) -> str:
    """Title, detail and remedy."""
    if "title" not in problem:
        if location := answer.headers.get("location"):
            return f"the address leads on to {location}: give that one"
        return f"HTTP {answer.status}, without a word of the store: is this its address?"
    parts = [f"{problem['title']}: {problem.get('detail', '')}".rstrip(". "), problem.get("remedy")]
    return ". ".join(part for part in parts if part)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (until.astimezone(timezone.utc) - datetime.now(timezone.utc)).total_seconds())
