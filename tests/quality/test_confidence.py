"""Confidence is the product of its factors, and falls when any of them does."""

import json
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Factors = dict[str, float]

CASES = [
    # reliability, share of venues, provisional, basis → factors, confidence
    (0.99, 1, False, "schedule", {"source": 0.99}, 0.99),
    (0.99, 1, False, "vintage", {"source": 0.99}, 0.99),
    (0.97, 1, True, "ingested", {"source": 0.97, "provisional": 0.8}, 0.776),
    (0.95, 1, False, "backfilled", {"source": 0.95, "backfilled": 0.95}, 0.9025),
    (0.99, 0.5, False, "ingested", {"source": 0.99, "venues": 0.5}, 0.495),
    (0.99, 0, False, "ingested", {"source": 0.99, "venues": 0}, 0.0),
    (1.0, 0.75, True, "backfilled", {"source": 1, "venues": 0.75, "provisional": 0.8, "backfilled": 0.95}, 0.57),
]


@pytest.mark.parametrize(("reliability", "share", "is_provisional", "basis", "factors", "confidence"), CASES)
def test_what_lowers_confidence_at_ingest(
    db: psycopg.Connection,
    reliability: float,
    share: float,
    is_provisional: bool,
    basis: str,
    factors: Factors,
    confidence: float,
) -> None:
    row = db.execute(
        "select f, quality.confidence_of(f) from quality.factors_at_ingest(%s, %s, %s, %s) as f",
        (reliability, Decimal(str(share)), is_provisional, basis),
    ).fetchone()
    assert row == (factors, confidence)


@pytest.mark.parametrize(
    ("rule", "score", "factor"),
    [
        ("outlier", 0.5, 1), ("outlier", 1, 1), ("outlier", 2, 0.5), ("outlier", 4, 0.25), ("outlier", 100, 0.2),
        ("flat_line", None, 0.7), ("duplicate", None, 0.8), ("agreement", None, 0.5),
        ("expected_range", None, 0), ("jump", 30, 0), ("unit", None, 0), ("sign", None, 0),
    ],
)  # fmt: skip
def test_what_a_broken_rule_leaves(db: psycopg.Connection, rule: str, score: float | None, factor: float) -> None:
    assert db.execute("select quality.factor_of(%s, %s::float8)", (rule, score)).fetchone() == (factor,)


@given(
    factors=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1).map(lambda x: round(x, 6)), min_size=1),
    lowered=st.floats(0, 1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_it_is_monotone_in_each_factor_and_never_above_the_least(
    db: psycopg.Connection, factors: Factors, lowered: float
) -> None:
    whole = _of(db, factors)
    assert 0 <= whole <= min(factors.values()) + 1e-12
    for name, factor in factors.items():
        assert _of(db, {**factors, name: factor * lowered}) <= whole + 1e-12
    assert _of(db, {**factors, "one_more": lowered}) <= whole + 1e-12


def test_without_factors_nothing_lowers_it(db: psycopg.Connection) -> None:
    assert _of(db, {}) == 1


def test_outliers_further_out_are_trusted_less(db: psycopg.Connection) -> None:
    scores = [0.1 * n for n in range(1, 80)]
    found = [db.execute("select quality.factor_of('outlier', %s)", (score,)).fetchone() for score in scores]
    factors = [row[0] for row in found if row]
    assert factors == sorted(factors, reverse=True)
    assert {0.2, 1} <= set(factors)


def _of(db: psycopg.Connection, factors: Factors) -> float:
    row = db.execute("select quality.confidence_of(%s::jsonb)", (json.dumps(factors),)).fetchone()
    assert row is not None
    return float(row[0])
