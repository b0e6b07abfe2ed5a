"""Publishing a request: its points held to the rules, the rest written in one transaction by `features.publish`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import psycopg
import zstandard
from psycopg.types.json import Jsonb

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.errors import IdempotencyMismatch, InvalidRequest, TooLarge
from feature_store.serving.publishing.body import Point, PublishRequest, read_request
from feature_store.serving.publishing.rules import Day, Publisher, check
from feature_store.warehouse.connection import explained

MAX_PARTITIONS = 100
"""Days of intraday features, and years of daily ones, that a request may touch: each costs locks to its end."""

_RETIRED = """
select distinct retired.feature_id, retired.day from ops.retired_days as retired
join unnest(%s::text[], %s::date[]) as given (feature_id, day) using (feature_id, day)
"""
_PUBLISH = "select outcome, answer from features.publish(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_KEY_LENGTH = 255


@dataclass(frozen=True)
class PublishAnswer:
    """What became of a request: points by their fate, and each failed one with its rule."""

    inserted: int
    duplicate: int
    failed: int
    errors: Sequence[dict[str, Any]]
    """`{"index", "featureId", "ts", "rule", "reason"}` of each, in the order of the request."""
    is_refused: bool = False
    """In mode `all` a point failed, so nothing was written."""
    is_replayed: bool = False
    """The answer to an earlier request of the same idempotency key and body."""

    @property
    def lacks_scope(self) -> bool:
        """Whether nothing but the scope of the key was wrong, with any point."""
        return (
            bool(self.errors)
            and self.inserted + self.duplicate == 0
            and ({error["rule"] for error in self.errors} == {"not_a_writer"})
        )

    def wire(self) -> dict[str, Any]:
        """As the wire has it."""
        return {
            "inserted": self.inserted,
            "duplicate": self.duplicate,
            "failed": self.failed,
            "errors": list(self.errors),
        }


def publish(
    conn: psycopg.Connection,
    catalog: Catalog,
    body: bytes,
    publisher: Publisher,
    idempotency_key: str | None = None,
) -> PublishAnswer:
    """Publish the points of a body, in one transaction that is committed before the answer is there to be given.

    `conn` is in no transaction. What was published is visible to every reader then. A request with an idempotency key
    that was accepted within seven days is answered as it was, and nothing is written.
    Raises InvalidRequest when the body is no request, TooLarge when it holds too much, IdempotencyMismatch when its key
    came with another body, WarehouseError when the database went away: send it again, best with an idempotency key.
    """
    check_idempotency_key(idempotency_key)
    request = read_request(body)
    with explained(conn):
        try:
            return _publish(conn, catalog, body, request, publisher, idempotency_key)
        except psycopg.errors.ObjectNotInPrerequisiteState:  # a day retired just now, which the rules know of next time
            return _publish(conn, catalog, body, request, publisher, idempotency_key)


def check_idempotency_key(key: str | None) -> None:
    """InvalidRequest unless it is 1 to 255 printable ASCII characters, or none."""
    if key is not None and not (0 < len(key) <= _KEY_LENGTH and key.isascii() and key.isprintable()):
        problem = f"give 1 to {_KEY_LENGTH} printable ASCII characters"
        raise InvalidRequest(
            "the request cannot be told by its key", [{"where": "Idempotency-Key", "problem": problem}]
        )


def _publish(
    conn: psycopg.Connection,
    catalog: Catalog,
    body: bytes,
    request: PublishRequest,
    publisher: Publisher,
    idempotency_key: str | None,
) -> PublishAnswer:
    with conn.transaction():
        failures = check(catalog, request.points, publisher, clock.now(conn), _retired(conn, catalog, request.points))
        failed = {failure.index for failure in failures}
        passed = [point for index, point in enumerate(request.points) if index not in failed]
        _check_partitions(catalog, passed)
        row = conn.execute(
            _PUBLISH,
            (
                publisher.key_id,
                publisher.name,
                idempotency_key,
                zstandard.compress(body),
                len(body),
                sha256(body).hexdigest(),
                request.mode,
                Jsonb([_row(catalog.features[point.feature_id], point, publisher) for point in passed]),
                Jsonb([failure.wire() for failure in failures]),
            ),
        ).fetchone()
    assert row is not None
    outcome, told = row
    return _answer(outcome, told, idempotency_key)


def _answer(outcome: str, told: dict[str, Any], idempotency_key: str | None) -> PublishAnswer:
    if outcome == "mismatch":
        raise IdempotencyMismatch(
            f"the idempotency key {idempotency_key!r} came with another body before: give each request a key of its own"
        )
    return PublishAnswer(**told, is_refused=outcome == "refused", is_replayed=outcome == "replayed")


def _retired(conn: psycopg.Connection, catalog: Catalog, points: Sequence[Point]) -> set[Day]:
    """The days of the points that lie in the archive alone: of intraday features, no others retire."""
    asked: set[tuple[str, date]] = {
        (point.feature_id, point.ts.date())
        for point in points
        if point.feature_id in catalog.features and catalog.features[point.feature_id].grain == "intraday"
    }
    if not asked:
        return set()
    rows = conn.execute(_RETIRED, ([name for name, _ in asked], [day for _, day in asked])).fetchall()
    return {(feature_id, day) for feature_id, day in rows}


def _check_partitions(catalog: Catalog, points: Sequence[Point]) -> None:
    grains = [(catalog.features[point.feature_id].grain, point.ts) for point in points]
    days = {ts.date() for grain, ts in grains if grain == "intraday"}
    years = {ts.year for grain, ts in grains if grain == "daily"}
    if len(years) + len(days) > MAX_PARTITIONS:
        raise TooLarge(
            f"the points are of {len(days)} days of intraday features and {len(years)} years of daily ones, and "
            f"{MAX_PARTITIONS} of both are taken at once: send them in several requests, by time"
        )


def _row(feature: FeatureSpec, point: Point, publisher: Publisher) -> dict[str, Any]:
    """A point as features.publish takes it."""
    own = {"publisher": publisher.name, **({} if feature.is_publishable else {"override": True})}
    given = {name: value for name, value in point.meta.items() if name not in ("publisher", "override")}
    return {
        "feature_id": feature.id,
        "version": feature.version,
        "grain": feature.grain,
        "ts": point.ts.isoformat(),
        "value": point.number,
        "available_at": point.available_at.isoformat() if point.available_at else None,
        "is_provisional": point.provisional,
        "confidence": point.confidence,
        "meta": given | own,
        "refs": point.refs(),
    }
