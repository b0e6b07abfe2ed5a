"""Candidates that change oddly: kept out, or published with less confidence, and told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from feature_store.catalog import Catalog
from feature_store.catalog.sync import sync
from feature_store.quality.judge import judge
from feature_store.quality.results import Verdict
from tests.quality import NOW, TGA, WALCL

Put = Callable[..., None]
WEEKS = [NOW - timedelta(weeks=n) for n in range(80, 0, -1)]


@pytest.fixture
def history(conn: psycopg.Connection, put: Put, catalog: Catalog) -> psycopg.Connection:
    """Eighty weeks of the Fed's assets and of the TGA are among the candidates."""
    sync(conn, catalog)
    for n, week in enumerate(WEEKS):
        put(ts=week, value=7e12 + (n % 7) * 1e10)
        put(feature_id=TGA, ts=week, value=7e11 + (n % 5) * 2e10)
    return conn


def judged(conn: psycopg.Connection, catalog: Catalog, home: Path) -> Verdict:
    return judge(conn, catalog, "run", docs="never", home=home)


def test_a_jump_is_kept_out_with_what_was_there_before(
    history: psycopg.Connection, put: Put, catalog: Catalog, home: Path
) -> None:
    put(ts=NOW, value=1.6e13)
    verdict = judged(history, catalog, home)
    assert (verdict.blocked, verdict.blocked_by_rule) == (1, {"jump": 1})
    [(reason,)] = history.execute("select reason from raw.rejects").fetchall()
    assert reason.startswith("value is 1.6e+13, after 7.02e+12; a usual one lies from ")
    assert reason.endswith("expected a value at most 2 times or a 2th from the one before or the median of five before")


def test_another_unit_is_named(history: psycopg.Connection, put: Put, catalog: Catalog, home: Path) -> None:
    put(feature_id=TGA, ts=NOW, value=7.4e8)
    verdict = judged(history, catalog, home)
    assert verdict.blocked == 1
    assert set(verdict.blocked_by_rule) == {"unit", "jump", "expected_range"}
    [(reason,)] = history.execute("select reason from raw.rejects where rule = 'unit'").fetchall()
    assert "value is 740000000, 10^-3 times what it was, after 7.8e+11" in reason


def test_an_outlier_is_published_with_less_confidence_that_its_meta_explains(
    history: psycopg.Connection, put: Put, catalog: Catalog, home: Path
) -> None:
    put(ts=NOW, value=1.2e13, confidence=0.9, meta={"a": 1})
    verdict = judged(history, catalog, home)
    assert verdict.blocked == 0
    assert [(r.rule, r.feature) for r in verdict.failures] == [("outlier", WALCL)]
    [(confidence, meta)] = history.execute(
        "select confidence, meta from features.candidates where feature_id = %s and ts = %s", (WALCL, NOW)
    ).fetchall()
    assert meta["a"] == 1
    assert meta["confidence"] == {"source": 0.9, "outlier": pytest.approx(0.2)}
    assert confidence == pytest.approx(0.18)
    [others] = history.execute("select count(*) from features.candidates where confidence = 0.9 and meta = '{}'")
    assert others == (160,)


def test_what_is_odd_is_kept_once_with_its_band(
    history: psycopg.Connection, put: Put, catalog: Catalog, home: Path
) -> None:
    put(ts=NOW, value=1.2e13)
    judged(history, catalog, home)
    judged(history, catalog, home)
    [found] = history.execute(
        "select feature_id, ts, rule, severity, value, value_before, low < value_before, high > value_before, score > 1"
        " from quality.findings"
    ).fetchall()
    assert found == (WALCL, NOW, "outlier", "warn", 1.2e13, 7.02e12, True, True, True)


def test_a_copy_is_told_and_lowers_confidence(
    history: psycopg.Connection, put: Put, catalog: Catalog, home: Path
) -> None:
    put(ts=NOW, value=7.02e12)
    assert [result.rule for result in judged(history, catalog, home).failures] == ["duplicate"]
    query = "select confidence from features.candidates where feature_id = %s and ts = %s"
    assert history.execute(query, (WALCL, NOW)).fetchone() == (pytest.approx(0.72),)


def test_a_jump_comes_in_once_the_catalog_allows_it(
    history: psycopg.Connection, put: Put, catalog: Catalog, home: Path
) -> None:
    put(ts=NOW, value=1.6e13)
    judged(history, catalog, home)
    feature = catalog.feature(WALCL)
    allowed = feature.quality.model_copy(update={"jump": feature.quality.jump.model_copy(update={"factor": 3.0})})  # type: ignore[union-attr]
    wider = replace(catalog, features={**catalog.features, WALCL: feature.model_copy(update={"quality": allowed})})
    verdict = judged(history, wider, home)
    assert (verdict.blocked, verdict.resolved) == (0, 1)


def test_of_odd_points_the_neighbours_are_told(history: psycopg.Connection) -> None:
    for n in range(-3, 4):
        history.execute("select features.ensure_partitions('daily', %s, %s)", (NOW + timedelta(weeks=n),) * 2)
        history.execute(
            """insert into features.features_values (feature_id, grain, ts, value, confidence, is_provisional,
                 available_at, available_basis, ingested_at, meta, evidence, version)
               values ('x', 'daily', %s, %s, 1, false, now(), 'vintage', now(), '{}', '[]', 1)""",
            (NOW + timedelta(weeks=n), n),
        )
    row = history.execute("select quality.neighbours('x', %s)", (NOW,)).fetchone()
    assert row is not None
    assert [near["value"] for near in row[0]] == [-2, -1, 1, 2]
