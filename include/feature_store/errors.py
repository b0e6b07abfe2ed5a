"""Every error this package raises on purpose.

FeatureStoreError
├── SettingsError          an environment variable is missing or wrong
├── CatalogError           a catalog file, entry or field is wrong; a calendar is asked beyond its horizon
├── SourceError            a source did not give what was asked
│   ├── Retriable          later it may work: time-out, 5xx
│   │   ├── TooFast        the source asks for patience: 429, 418
│   │   └── CircuitOpen    a host is left alone for a while, and was not asked
│   ├── Malformed          the answer cannot be read: truncated, HTML, a missing field
│   └── Refused            asking again will not help: wrong key, unknown series, an address that is not served
├── SourceDisabled         live mode lacks a key of the source: it is left out, and no other
├── OutOfReach             the source does not answer for the time asked for: nothing to do, nothing wrong
├── WarehouseError         the database refused, or holds what it must not
├── UnknownFeature         a feature is asked for that the store does not have
├── QueryError             a question makes no sense: an instant without a zone, a range that ends before it begins
├── ArchiveError           S3 cannot be reached, refused, or does not hold what it should
│   ├── BytesExpired       the bytes of an answer were let go, as the catalog says: nothing wrong
│   └── Overtaken          somebody else changed the history at the same time
├── QualityError           a blocking expectation failed, or an assessment is of no version
├── ApiKeyError            a key of the REST API cannot be made or changed as asked
├── ReplayError            a replay folder, fault or clock request is wrong
└── StackError             a local service could not be started, reached or stopped

A message says what happened, where, and what to do. No message carries a secret.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feature_store.sources.contract import Payload


class FeatureStoreError(Exception):
    """Root of the tree: catch this to catch everything raised on purpose."""


class SettingsError(FeatureStoreError):
    """An environment variable is missing or wrong."""


class CatalogError(FeatureStoreError):
    """A catalog file, entry or field is wrong, or a calendar is asked beyond its horizon."""


class SourceError(FeatureStoreError):
    """A source did not give what was asked; `payload` is the answer, where one came."""

    def __init__(self, message: str, payload: "Payload | None" = None) -> None:
        super().__init__(message)
        self.payload = payload


class Retriable(SourceError):
    """The same request may succeed later: in `wait_seconds`, where that is known."""

    def __init__(self, message: str, payload: "Payload | None" = None, wait_seconds: float | None = None) -> None:
        super().__init__(message, payload)
        self.wait_seconds = wait_seconds


class TooFast(Retriable):
    """The source asks for patience."""


class CircuitOpen(Retriable):
    """A host is left alone until `until` (UTC, real time), so it was not asked."""

    def __init__(self, message: str, until: datetime, wait_seconds: float) -> None:
        super().__init__(message, wait_seconds=wait_seconds)
        self.until = until

    def __reduce__(self) -> tuple[Any, ...]:  # else it could not go from one process to another
        return type(self), (str(self), self.until, self.wait_seconds)


class Malformed(SourceError):
    """The answer arrived but cannot be read."""


class Refused(SourceError):
    """The source refused, and will refuse again."""


class SourceDisabled(FeatureStoreError):
    """Live mode lacks a key of the source: it is left out, and no other."""


class OutOfReach(FeatureStoreError):
    """The source does not answer for the time asked for: a snapshot of the past, a window before its history."""


class WarehouseError(FeatureStoreError):
    """The database refused, or holds what it must not."""


class UnknownFeature(FeatureStoreError):
    """A feature is asked for that the store does not have."""


class QueryError(FeatureStoreError):
    """A question makes no sense."""


class InvalidRequest(FeatureStoreError):
    """A request is none: `errors` says of each mistake where it stands and what it is."""

    def __init__(self, message: str, errors: list[dict[str, str]]) -> None:
        super().__init__(message + "".join(f"\n  {error['where']}: {error['problem']}" for error in errors))
        self.errors = errors

    def __reduce__(self) -> tuple[Any, ...]:  # else it could not go from one process to another
        return type(self), (str(self).partition("\n")[0], self.errors)


class TooLarge(FeatureStoreError):
    """A request holds more than is taken at once."""


class IdempotencyMismatch(FeatureStoreError):
    """An idempotency key came again with another request."""


class ArchiveError(FeatureStoreError):
    """S3 cannot be reached, refused, or does not hold what it should."""


class BytesExpired(ArchiveError):
    """The bytes of an answer were let go, by `payloads` of its stream in the catalog; its fetches remain."""


class Overtaken(ArchiveError):
    """Somebody else changed the history at the same time, so nothing was changed."""


class QualityError(FeatureStoreError):
    """A blocking expectation failed, or an assessment is of no version that the store has."""


class ApiKeyError(FeatureStoreError):
    """A key of the REST API cannot be made or changed as asked."""


class ReplayError(FeatureStoreError):
    """A replay folder, a fault or a clock request is wrong."""


class StackError(FeatureStoreError):
    """A local service could not be started, reached or stopped."""
