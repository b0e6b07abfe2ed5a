"""Every error this package raises on purpose.

FeatureStoreError
├── SettingsError          an environment variable is missing or wrong
├── CatalogError           a catalog file, entry or field is wrong; a calendar is asked beyond its horizon
├── SourceError            a source did not give what was asked
│   ├── Retriable          later it may work: time-out, 5xx
│   │   └── TooFast        the source asks for patience: 429
│   ├── Malformed          the answer cannot be read: truncated, HTML, a missing field
│   └── Refused            asking again will not help: wrong key, unknown series
├── WarehouseError         the database refused, or holds what it must not
├── QualityError           a blocking expectation failed
├── ReplayError            a replay folder, fault or clock request is wrong
└── StackError             a local service could not be started, reached or stopped

A message says what happened, where, and what to do. No message carries a secret.
"""

from typing import TYPE_CHECKING

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
    """The same request may succeed later."""


class TooFast(Retriable):
    """The source asks for patience: for `wait_seconds`, where it says."""

    def __init__(self, message: str, payload: "Payload | None" = None, wait_seconds: float | None = None) -> None:
        super().__init__(message, payload)
        self.wait_seconds = wait_seconds


class Malformed(SourceError):
    """The answer arrived but cannot be read."""


class Refused(SourceError):
    """The source refused, and will refuse again."""


class WarehouseError(FeatureStoreError):
    """The database refused, or holds what it must not."""


class QualityError(FeatureStoreError):
    """A blocking expectation failed."""


class ReplayError(FeatureStoreError):
    """A replay folder, a fault or a clock request is wrong."""


class StackError(FeatureStoreError):
    """A local service could not be started, reached or stopped."""
