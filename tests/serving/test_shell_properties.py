"""What the SQL shell answers is what Postgres answered before days of it retired, whatever was told and corrected."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.catalog.sync import sync
from feature_store.serving.shell import Shell

from .answers import of_postgres, of_shell
from .conftest import FreshStore
from .store import catalog_of
from .test_query_properties import BATCHES, END, SETTINGS, moment, told

FEATURES = 3
"""Of each kind."""

VERSION = """feature_id, version, grain, ts, value, available_at, available_basis, ingested_at, is_provisional,
  confidence, meta, evidence, correction"""


@settings(max_examples=2, **SETTINGS)
@given(seed=st.integers(0, 2**32))
def test_the_shell_answers_as_postgres_did_before_days_retired(fresh_store: FreshStore, seed: int) -> None:
    live_and_ask(fresh_store, random.Random(seed))


@pytest.mark.slow
@settings(max_examples=5, **SETTINGS)
@given(seed=st.integers(0, 2**32))
def test_the_shell_over_many_stores_answers_as_postgres_did(fresh_store: FreshStore, seed: int) -> None:
    live_and_ask(fresh_store, random.Random(seed))


def live_and_ask(fresh_store: FreshStore, rng: random.Random) -> None:
    with fresh_store(catalog_of(FEATURES)) as store:
        if rng.random() < 0.7:
            sync(store.conn, store.catalog)
        for now in BATCHES:
            store.append(told(rng, store, now), now)
        store.retire(END, 1000)  # nothing
        asked = questions(rng)
        expected = {question: of_postgres(store.conn, question) for question in asked}
        for days in (1000, rng.randint(6, 18), 1):
            store.retire(END, days)
            with Shell.open(store.settings) as shell:
                for question in asked:
                    assert of_shell(shell, question) == expected[question], (question, days)
        assert of_postgres(store.conn, "select 1 from ops.retired_days limit 1")


def questions(rng: random.Random) -> list[str]:
    """Statements that Postgres and DuckDB understand alike."""
    known, stored, since, until = (f"'{moment(rng).isoformat()}'" for _ in range(4))
    some = f"feature_id in ('t/minute_{rng.randrange(FEATURES)}', 't/session_0', 't/nobody')"
    return [
        f"select {VERSION} from features.features_versions",
        "select * from features.features_values",
        f"select ts, value from features.features_values where {some} and ts >= {since} and value > 1",
        f"select feature_id, count(*), max(value) from features.features_values where ts < {until} group by 1",
        f"select {VERSION} from features.features_versions where {some} or ts = {since}",
        f"select grain, version, count(*) from features.features_versions where available_at < {known} group by 1, 2",
        f"select * from features.as_of({known}) where {some}",
        f"select * from features.as_of({known}, {stored})",
        f"select ts, value from features.as_of('infinity', {stored}) where {some} and ts between {since} and {until}",
        f"select * from features.as_stored({stored}) where value is null",
        f"select * from features.latest_as_of({known})",
        f"select feature_id, value from features.latest_as_of({known}, {stored}) where {some}",
        "select feature_id, ts, value, age, is_stale from features.latest",
    ]
