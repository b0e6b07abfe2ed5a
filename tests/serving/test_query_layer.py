"""One query layer serves many threads, while the store is written to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from feature_store.catalog import load_catalog
from feature_store.serving import QueryLayer, join

from .conftest import FreshStore
from .store import Told, catalog_of

FIRST = datetime(2024, 3, 26, tzinfo=UTC)
FEATURES = [f"t/minute_{number}" for number in range(4)]


@pytest.mark.parametrize("held_rows", [1, 10_000_000], ids=["hardly anything is kept", "everything is kept"])
def test_many_threads_get_the_answers_that_one_would(
    fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch, held_rows: int
) -> None:
    monkeypatch.setattr(join, "HELD_ROWS", held_rows)
    minutes = [FIRST + timedelta(minutes=minute) for minute in range(50)]
    spine = pa.table({"at": pa.array([minute + timedelta(minutes=1) for minute in minutes], pa.timestamp("us", "UTC"))})
    with fresh_store(catalog_of(4)) as store, ThreadPoolExecutor(8) as pool:
        known = [
            Told(feature, ts, float(nth), ts + timedelta(minutes=1))
            for feature in FEATURES
            for nth, ts in enumerate(minutes)
        ]
        store.append(known, FIRST + timedelta(days=1))
        layer = QueryLayer(store.settings, store.catalog)
        asked = [pool.submit(layer.historical, spine, FEATURES[nth % 4 :] + FEATURES[: nth % 4]) for nth in range(40)]
        for nth in range(5):  # news of later days, which no row of the spine sees
            later = FIRST + timedelta(days=2 + nth)
            store.append([Told(FEATURES[0], later - timedelta(hours=1), 1.0, later)], later)
        for answer in asked:
            for feature in FEATURES:
                assert answer.result()[feature].to_pylist() == [float(nth) for nth in range(50)]


def test_every_feature_of_the_shipped_catalog_can_be_joined(fresh_store: FreshStore) -> None:
    catalog = load_catalog()
    spine = pa.table({"at": pa.array([FIRST], pa.timestamp("us", "UTC"))})
    with fresh_store(catalog) as store:
        joined = QueryLayer(store.settings, catalog).historical(spine, list(catalog.features), detail=True)
        assert set(catalog.features) < set(joined.column_names)
        assert joined.num_rows == 1
