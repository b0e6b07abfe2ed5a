"""Latest is told from memory, is behind what was committed no longer than word of it takes, and never too old."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.serving.api import latest
from feature_store.settings import Settings
from feature_store.stack.ports import free_port
from feature_store.stack.postgres import Postgres
from feature_store.warehouse.migrate import migrate

from .served import GAS, NOW, PRICE, VIX, Served, Told, served, until


def value(store: Served, feature: str) -> float | None:
    points = store.get("/v1/latest", featureIds=feature).json()["points"]
    return points[0]["value"] if points else None


def test_a_feature_without_a_point_is_missing_and_order_is_as_asked(store: Served) -> None:
    told = store.get("/v1/latest", featureIds=[GAS, VIX, PRICE, VIX]).json()
    assert [point["featureId"] for point in told["points"]] == [VIX, PRICE]
    assert told["missing"] == [GAS]
    whole = store.get("/v1/latest").json()
    ids = [point["featureId"] for point in whole["points"]]
    assert ids == [name for name in store.catalog.features if name in ids]
    assert sorted(ids + whole["missing"]) == sorted(store.catalog.features)


def test_latest_is_the_view(store: Served) -> None:
    held = {row["feature_id"]: row for row in store.layer.latest().to_pylist()}
    for point in store.get("/v1/latest").json()["points"]:
        row = held[point["featureId"]]
        assert (point["value"], point["stale"], point["version"]) == (row["value"], row["is_stale"], row["version"])


@pytest.fixture
def by_word_alone(store: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is read again for the time that passed."""
    monkeypatch.setattr(latest, "_EVERY", 3600.0)
    monkeypatch.setattr(latest, "TOO_OLD", 3600.0)
    tell(store)  # or it still waits for the second to end
    yield
    monkeypatch.undo()
    tell(store)


def tell(store: Served) -> None:
    store.conn.execute("select pg_notify(%s, '')", (latest.CHANNEL,))
    store.conn.commit()


@pytest.mark.usefixtures("by_word_alone")
def test_what_was_appended_is_told_when_word_of_it_comes(store: Served) -> None:
    row = store.conn.execute("select ops.now()").fetchone()
    assert row is not None
    for number in range(5):
        store.append(
            [Told(PRICE, NOW + timedelta(minutes=number), 70_000.0 + number, row[0] + timedelta(hours=number))],
            row[0] + timedelta(hours=number + 1),
        )
        until(lambda wanted=70_000.0 + number: value(store, PRICE) == wanted, "it is told")


@pytest.mark.usefixtures("by_word_alone")
def test_an_assessment_of_the_newest_point_is_told_when_word_of_it_comes(store: Served) -> None:
    def point() -> dict[str, Any]:
        [told] = store.get("/v1/latest", featureIds=VIX).json()["points"]
        return dict(told)

    before = point()
    for confidence in (0.5, 0.4, 0.3):
        store.assess(VIX, datetime.fromisoformat(before["ts"]), confidence)
        until(lambda wanted=confidence: point() == {**before, "confidence": wanted}, "it is told")


def test_a_moved_clock_makes_points_stale(store: Served) -> None:
    assert store.get("/v1/latest", featureIds=VIX).json()["points"][0]["stale"] is False
    clock.advance(store.conn, timedelta(days=10))
    until(lambda: store.get("/v1/latest", featureIds=VIX).json()["points"][0]["stale"], "it is stale")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Served, Postgres]]:
    """A store on a database server of its own, to be stopped."""
    server = Postgres(tmp_path, free_port(), uuid4().hex)
    server.init()
    server.start()
    server.create_database()
    migrate(server.dsn())
    settings = Settings(FEATURE_STORE_POSTGRES_DSN=server.dsn(), FEATURE_STORE_HOME=tmp_path)
    try:
        with (
            psycopg.connect(server.dsn(), options="-c timezone=UTC") as conn,
            served(conn, settings, load_catalog()) as store,
        ):
            store.fill()
            yield store, server
    finally:
        server.stop()


def test_without_a_database_nothing_old_is_told_for_new(alone: tuple[Served, Postgres]) -> None:
    store, server = alone
    until(lambda: value(store, VIX) == 13.5, "it is told")
    assert store.get("/readyz").status_code == 200
    store.conn.close()
    server.stop()
    away = until(lambda: found if (found := store.get("/v1/latest")).status_code == 503 else None, "it is away")
    assert away.json()["type"].endswith(":database-away")
    assert int(away.headers["retry-after"]) > 0
    assert store.get("/readyz").status_code == 503
    assert store.get("/v1/query", featureIds=VIX).status_code == 503
    assert store.get("/v1/revisions", featureId=VIX).status_code == 503
    assert store.get("/healthz").status_code == 200
    server.start()
    until(lambda: store.get("/v1/latest").status_code == 200, "it is back")
    until(lambda: store.get("/v1/query", featureIds=VIX).status_code == 200, "it is back")


def test_many_ask_while_points_are_appended(store: Served) -> None:
    row = store.conn.execute("select ops.now()").fetchone()
    assert row is not None
    errors: list[str] = []

    def ask() -> None:
        with store.client() as client:
            last = 0.0
            for _ in range(60):
                [point] = client.get("/v1/latest", params={"featureIds": PRICE}).json()["points"]
                if point["value"] < last:
                    errors.append(f"{point['value']} after {last}")
                last = point["value"]

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        moment = row[0] + timedelta(minutes=number)
        store.append([Told(PRICE, moment - timedelta(minutes=2), 80_000.0 + number, moment)], moment)
    for thread in threads:
        thread.join()
    assert errors == []
