"""Whatever is raised on the way to an answer, as a problem."""

from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from starlette.exceptions import HTTPException

from feature_store.errors import (
    ArchiveError,
    BytesExpired,
    CatalogError,
    FeatureStoreError,
    IdempotencyMismatch,
    InvalidRequest,
    QueryError,
    TooLarge,
    UnknownFeature,
    WarehouseError,
)
from feature_store.serving.api.gate import internal
from feature_store.serving.api.problems import Problem

log = structlog.get_logger()


def of_validation(errors: Sequence[Any]) -> Problem:
    """Mistakes in parameters or a body as pydantic tells them."""
    found = [{"where": _where(error["loc"]), "problem": _words(error)} for error in errors[:100]]
    told = "; ".join(f"{each['where']}: {each['problem']}" for each in found[:3])
    return Problem("invalid-request", told, errors=found)


def of_http(error: HTTPException, path: str) -> Problem:
    """A path that is not served, or a method."""
    if error.status_code == 405:
        return Problem("method-not-allowed", f"{path} takes another method", headers=error.headers)
    if error.status_code == 404:
        return Problem("not-found", f"{path} is no path of this API")
    return Problem("invalid-request", str(error.detail), errors=[{"where": "body", "problem": str(error.detail)}])


def of_error(error: Exception, request_id: str) -> Problem:
    """An error that was raised on purpose. What it says of addresses stays in the log."""
    if isinstance(error, QueryError | CatalogError):  # of the catalog, an instant beyond a calendar's days
        return Problem("invalid-request", str(error), errors=[{"where": "request", "problem": str(error)}])
    if isinstance(error, InvalidRequest):
        return Problem("invalid-request", str(error).partition("\n")[0], errors=error.errors)
    for kind, slug in _AS_THEY_SAY.items():
        if isinstance(error, kind):
            return Problem(slug, str(error))
    if isinstance(error, ArchiveError):
        log.warning("the archive is away", requestId=request_id, error=str(error))
        return Problem("archive-away", "what was asked for lies in the archive on S3, which does not answer")
    if isinstance(error, WarehouseError | psycopg.OperationalError):
        log.warning("the database is away", requestId=request_id, error=str(error))
        return Problem("database-away", "the database does not answer")
    log.error("a request failed", requestId=request_id, error=f"{type(error).__name__}: {error}")
    return internal()


_AS_THEY_SAY: dict[type[FeatureStoreError], str] = {
    UnknownFeature: "unknown-feature",
    BytesExpired: "expired-bytes",
    TooLarge: "too-large",
    IdempotencyMismatch: "idempotency-mismatch",
}


def _where(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc if part not in _BRANCHES)


# How pydantic names the branches of a union: no place in a request.
_BRANCHES = {"function-before[duration(), timedelta]", "dict[str,function-before[duration(), timedelta]]"}


def _words(error: Any) -> str:
    kind, message = error["type"], str(error["msg"])
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return "is unknown here"
    if kind == "missing":
        return "is needed, and missing"
    if kind == "json_invalid":
        return f"is no JSON: {error.get('ctx', {}).get('error', message)}"
    return message[:1].lower() + message[1:]
