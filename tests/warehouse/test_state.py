"""One hash over what is known, of all features or of some."""

from typing import Any

import psycopg

from feature_store import clock
from feature_store.warehouse.state import content_hash

from .test_append_versions import DAY, START, Candidate, append


def test_a_hash_of_some_features_changes_with_them_alone(db: psycopg.Connection[Any]) -> None:
    clock.freeze(db, START + 10 * DAY)
    append(db, [Candidate("t/a"), Candidate("t/b")])
    every, of_a, of_b = (content_hash(db, features=chosen) for chosen in (None, ["t/a"], ["t/b"]))
    assert len({every, of_a, of_b}) == 3
    assert content_hash(db, features=["t/b", "t/a"]) == every
    assert content_hash(db, features=[]) not in {every, of_a, of_b}

    append(db, [Candidate("t/b", available_at=2, value=2.0)])
    assert content_hash(db, features=["t/a"]) == of_a
    assert content_hash(db, features=["t/b"]) != of_b
