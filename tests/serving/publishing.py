"""Publishing for a test: features that are published alone, and a store that takes what is sent."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec, load_catalog
from feature_store.serving.publishing import PublishAnswer, Publisher, publish

DAY, SIGNAL = "desk/btc/fair_value_usd", "desk/btc/signal"
"""Published alone: by day, and by instant."""
FLOW, WALCL, NET = "crypto/etf/btc_net_flow_usd", "macro/us/walcl_total_usd", "macro/us/net_liquidity_usd"
"""A connector's that may be published, a connector's that may not, and a computed one."""

NOW = datetime(2024, 3, 20, 12, tzinfo=UTC)
DESK = Publisher("k1", "desk", frozenset({"publish"}))
OTHER = Publisher("k2", "research", frozenset({"read", "publish"}))
ADMIN = Publisher("k3", "ops", frozenset({"admin"}))
READER = Publisher("k4", "reader", frozenset({"read"}))

_ALONE: dict[str, Any] = {
    "entity": "asset",
    "description": "What the desk says.",
    "unit": "USD",
    "ttl_ms": 86_400_000,
    "tags": ["desk"],
    "source": {"id": "publish", "class": "derived", "schema": "published_points"},
    "quality": {"expected_range": [-1e6, 1e6], "seasonal": False},
    "version": 1,
    "owner": "desk",
    "calendar": "24x7",
    "writers": ["publish"],
}


def alone(feature_id: str, **given: Any) -> FeatureSpec:
    """A feature that is published alone: of instants unless told otherwise."""
    return FeatureSpec.model_validate({**_ALONE, "id": feature_id, "frequency": "tick", "label": "instant", **given})


def with_published(catalog: Catalog) -> Catalog:
    """The catalog with two features that are published alone."""
    made = [alone(DAY, frequency="1d", label="start", period="P1D"), alone(SIGNAL)]
    features = {**catalog.features, **{feature.id: feature for feature in made}}
    return replace(catalog, features=MappingProxyType(features))


def point(
    feature_id: str = SIGNAL, ts: str = "2024-03-20T10:00:00Z", value: float = 1.0, **given: Any
) -> dict[str, Any]:
    """A point of the wire."""
    return {"featureId": feature_id, "ts": ts, "value": value, **given}


def body(*points: dict[str, Any], **given: Any) -> bytes:
    """A request of the wire."""
    return json.dumps({"points": points, **given}).encode()


@dataclass
class Desk:
    """A store to publish to, at a clock that the test turns."""

    conn: psycopg.Connection
    catalog: Catalog = field(default_factory=lambda: with_published(load_catalog()))

    def at(self, moment: datetime | str) -> None:
        """Freeze the clock."""
        instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        clock.freeze(self.conn, instant if instant.tzinfo else instant.replace(tzinfo=UTC))

    def publish(
        self, *points: dict[str, Any], by: Publisher = DESK, key: str | None = None, **given: Any
    ) -> PublishAnswer:
        """Publish points of the wire."""
        return self.send(body(*points, **given), by=by, key=key)

    def send(self, content: bytes, by: Publisher = DESK, key: str | None = None) -> PublishAnswer:
        """Publish a body."""
        return publish(self.conn, self.catalog, content, by, key)

    def rules(self, *points: dict[str, Any], by: Publisher = DESK) -> list[str | None]:
        """Which rule each point breaks; nothing is written."""
        before = self.count("ops.publishes")
        answer = self.publish(*points, by=by)
        if answer.is_refused:
            assert self.count("ops.publishes") == before
        broken = {error["index"]: error["rule"] for error in answer.errors}
        return [broken.get(index) for index in range(len(points))]

    def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of a query; commits."""
        rows = self.conn.execute(query.encode(), arguments).fetchall()
        self.conn.commit()
        return rows

    def count(self, table: str) -> int:
        """The rows of a table."""
        [(count,)] = self.rows(f"select count(*) from {table}")
        return int(count)

    def counts(self) -> dict[str, int]:
        """The rows of everything that publishing writes."""
        tables = ("raw.payloads", "raw.fetches", "raw.published_points", "features.features_versions", "ops.publishes")
        return {table: self.count(table) for table in tables}

    def versions(self, feature: str = SIGNAL) -> list[tuple[float, str, str]]:
        """(value, time of available_at, basis) of every version, in the order in which they count."""
        return self.rows(
            """select value, to_char(available_at, 'MM-DD HH24:MI'), available_basis from features.features_versions
               where feature_id = %s order by ts, available_at, ingested_at""",
            feature,
        )

    def latest(self, feature: str = SIGNAL) -> float | None:
        """The newest value."""
        rows = self.rows("select value from features.latest_values where feature_id = %s", feature)
        return rows[0][0] if rows else None

    @contextmanager
    def dying(self, table: str) -> Iterator[None]:
        """Whoever writes to a table dies there: the block has to raise that."""
        dies = "before insert or update"
        self.conn.execute(
            f"""create function ops.die() returns trigger language plpgsql as $$ begin raise 'killed'; end $$;
                create trigger die {dies} on {table} for each row execute function ops.die()""".encode()
        )
        self.conn.commit()
        try:
            yield
        finally:
            self.conn.rollback()
            self.conn.execute("drop function ops.die() cascade")
            self.conn.commit()
