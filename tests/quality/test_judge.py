"""What breaks a blocking rule is kept out with its reason; the rest goes on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.errors import QualityError
from feature_store.quality.judge import judge
from feature_store.quality.results import Verdict, forget_results
from tests.quality import NOW, RRP, TGA, WALCL

Put = Callable[..., None]
Judge = Callable[..., Verdict]


@pytest.fixture
def judged(conn: psycopg.Connection, catalog: Catalog, home: Path) -> Judge:
    """Judge without building pages."""

    def run(with_catalog: Catalog = catalog) -> Verdict:
        return judge(conn, with_catalog, "run", docs="never", home=home)

    return run


def _candidates(conn: psycopg.Connection) -> list[tuple[str, float | None]]:
    return conn.execute("select feature_id, value from features.candidates order by 1, 2").fetchall()


def _rejects(conn: psycopg.Connection) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from raw.rejects order by reject_id").fetchall()


def _wider(catalog: Catalog, feature_id: str, low: float, high: float) -> Catalog:
    feature = catalog.features[feature_id]
    quality = feature.quality.model_copy(update={"expected_range": (low, high)})
    changed = feature.model_copy(update={"quality": quality})
    return replace(catalog, features={**catalog.features, feature_id: changed})


def test_sound_candidates_stay_and_nothing_is_rejected(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    verdict = judged()
    assert (verdict.checked, verdict.blocked, verdict.failures) == (2, 0, ())
    assert len(_candidates(conn)) == 2
    assert _rejects(conn) == []


def test_a_value_out_of_its_expected_range_is_kept_out_with_its_reason(
    conn: psycopg.Connection, sound: Put, judged: Judge
) -> None:
    sound(value=7.7e18, evidence=[{"fetch": 7}])
    verdict = judged()
    assert verdict.blocked == 1
    assert verdict.blocked_by_rule == {"expected_range": 1}
    [reject] = _rejects(conn)
    assert (reject["source"], reject["stream"], reject["feature_id"]) == ("fred", "observations", WALCL)
    assert reject["ts"].isoformat() == "2024-01-03T00:00:00+00:00"
    assert reject["rule"] == "expected_range"
    assert reject["reason"] == "value is 7.7e+18; expected value from 4e+11 to 2e+13 USD"
    assert reject["content"]["value"] == 7.7e18
    assert reject["content"]["evidence"] == [{"fetch": 7}]
    assert reject["rejected_at"] == NOW


def test_the_rest_is_published(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(value=7.7e18)
    sound(ts="2024-01-10T00:00:00Z", value=7.6e12)
    judged()
    assert _candidates(conn) == [(RRP, 6.5e11), (TGA, 7.5e11), (WALCL, 7.6e12)]


def test_a_range_is_the_features_own(conn: psycopg.Connection, put: Put, judged: Judge) -> None:
    put(value=5e12)
    put(feature_id=TGA, value=5e12)
    judged()
    assert _candidates(conn) == [(WALCL, 5e12)]
    assert [reject["feature_id"] for reject in _rejects(conn)] == [TGA]


def test_more_rows_than_the_examples_of_the_docs_are_all_kept_out(
    conn: psycopg.Connection, put: Put, judged: Judge
) -> None:
    for n in range(45):
        put(ts=NOW - timedelta(days=n, microseconds=n), value=-1.0 - n)
    assert judged().blocked == 45
    assert _candidates(conn) == []
    assert Counter(reject["rule"] for reject in _rejects(conn)) == {"sign": 45, "expected_range": 45}


def test_a_withdrawal_is_not_blocked_by_a_range(conn: psycopg.Connection, put: Put, judged: Judge) -> None:
    put(value=None)
    assert judged().failures == ()
    assert _candidates(conn) == [(WALCL, None)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_kept_out(conn: psycopg.Connection, put: Put, judged: Judge, value: float) -> None:
    put(value=value)
    judged()
    assert _candidates(conn) == []
    assert judged().newly_blocked == 0


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"available_at": "2024-01-10T00:00:00.000001Z"}, "not_in_the_future"),
        ({"feature_id": "macro/us/unheard_of"}, "known_feature"),
        ({"confidence": 1.1}, "confidence_is_a_share"),
        ({"confidence": None}, "confidence_is_known"),
        ({"available_basis": "guess"}, "known_available_basis"),
        ({"is_provisional": None}, "is_provisional_is_known"),
        ({"grain": "weekly"}, "known_grain"),
    ],
)
def test_a_row_that_breaks_a_rule_is_kept_out(
    conn: psycopg.Connection, sound: Put, judged: Judge, given: dict[str, Any], rule: str
) -> None:
    sound(**given)
    assert judged().blocked == 1
    assert _candidates(conn) == [(RRP, 6.5e11), (TGA, 7.5e11)]
    assert [reject["rule"] for reject in _rejects(conn)] == [rule]


def test_a_row_that_breaks_several_rules_is_one_row_and_a_reject_for_each(
    conn: psycopg.Connection, put: Put, judged: Judge
) -> None:
    put(value=-1.0, confidence=2.0)
    verdict = judged()
    assert verdict.blocked == 1
    assert {reject["rule"] for reject in _rejects(conn)} == {"confidence_is_a_share", "expected_range", "sign"}


def test_judging_again_changes_nothing(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(value=7.7e18, meta={"a": 1.5})
    judged()
    before = _rejects(conn)
    conn.execute("set timezone = 'Asia/Tokyo'")
    conn.commit()
    again = judged()
    assert (again.blocked, again.newly_blocked, again.resolved) == (1, 0, 0)
    assert _rejects(conn) == before
    assert len(_candidates(conn)) == 2


def test_a_blocked_row_is_published_once_its_range_is_widened(
    conn: psycopg.Connection, sound: Put, judged: Judge, catalog: Catalog
) -> None:
    sound(value=3e13)
    judged()
    conn.execute("truncate features.candidates")  # the next transform has no news
    conn.commit()
    verdict = judged(_wider(catalog, WALCL, 0, 1e14))
    assert (verdict.checked, verdict.blocked, verdict.resolved) == (1, 0, 1)
    assert _candidates(conn) == [(WALCL, 3e13)]
    assert _rejects(conn)[0]["resolved_at"] == NOW


def test_a_row_from_the_future_is_published_when_its_time_has_come(
    conn: psycopg.Connection, put: Put, judged: Judge
) -> None:
    put(available_at=NOW + timedelta(hours=1))
    judged()
    assert _candidates(conn) == []
    clock.advance(conn, timedelta(hours=2))
    assert judged().resolved == 1
    assert _candidates(conn) == [(WALCL, 7.7e12)]


def test_a_reject_is_resolved_when_the_point_comes_back_corrected(
    conn: psycopg.Connection, put: Put, judged: Judge
) -> None:
    put(value=7.7e18)
    judged()
    put(value=7.7e12)
    assert judged().resolved == 1
    assert _candidates(conn) == [(WALCL, 7.7e12)]
    assert _rejects(conn)[0]["resolved_at"] is not None


def test_a_reject_stays_open_while_its_version_is_still_wrong(
    conn: psycopg.Connection, put: Put, judged: Judge
) -> None:
    put(value=7.7e18)
    judged()
    put(value=7.7e18)
    put(value=7.7e12, available_at="2024-01-05T00:00:00Z")
    verdict = judged()
    assert (verdict.blocked, verdict.newly_blocked, verdict.resolved) == (1, 0, 0)
    assert _candidates(conn) == [(WALCL, 7.7e12)]


def test_rejects_of_other_rooms_are_left_alone(conn: psycopg.Connection, put: Put, judged: Judge) -> None:
    conn.execute("insert into raw.rejects (source, rule, reason) values ('fred', 'unreadable_answer', 'x')")
    put(value=7.7e12)
    judged()
    assert _rejects(conn)[0]["resolved_at"] is None


def test_duplicate_keys_raise_and_move_nothing(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(value=7.7e12)
    sound(value=7.7e18)
    with pytest.raises(QualityError, match=rf"(?s)unique_key: observed 2 of 4 rows.*{WALCL}.*expected one row per"):
        judged()
    assert len(_candidates(conn)) == 4
    assert _rejects(conn) == []


def test_a_missing_column_raises_and_is_named(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    conn.execute("alter table features.candidates drop column confidence")
    conn.commit()
    with pytest.raises(QualityError, match=r"columns: observed no column confidence; expected the columns") as caught:
        judged()
    assert str(caught.value).count("observed") == 1


def test_a_key_with_a_hole_raises(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(ts=None)
    with pytest.raises(QualityError, match="ts_is_known"):
        judged()


def test_without_the_table_the_message_says_what_to_run(db: psycopg.Connection, catalog: Catalog, home: Path) -> None:
    with pytest.raises(QualityError, match="run the migrations and dbt"):
        judge(db, catalog, "run", docs="never", home=home)


def test_nothing_to_judge_is_a_verdict_too(judged: Judge) -> None:
    assert judged().checked == 0


def test_every_result_is_kept_as_history(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(value=7.7e18)
    judged()
    query = "select feature_id, success, rows_checked, rows_failed, observed, expected from quality.results where "
    ranges = conn.execute(f"{query} rule = 'expected_range' order by 1").fetchall()
    assert [row[:4] for row in ranges] == [(RRP, True, 1, 0), (TGA, True, 1, 0), (WALCL, False, 1, 1)]
    assert "value 7.7e+18" in ranges[2][4]
    assert ranges[2][5] == "value from 4e+11 to 2e+13 USD"


def test_what_was_in_order_is_forgotten_after_a_month_and_what_broke_is_not(
    conn: psycopg.Connection, sound: Put, judged: Judge
) -> None:
    sound(value=7.7e18)
    results = "select count(*) filter (where success) > 0, count(*) filter (where not success) from quality.results"
    judged()
    assert conn.execute(results).fetchone() == (True, 1)
    clock.advance(conn, timedelta(days=30))
    assert forget_results(conn) == 0
    clock.advance(conn, timedelta(seconds=1))
    assert forget_results(conn) > 0
    assert conn.execute(results).fetchone() == (False, 1)


def test_a_refused_table_is_history_too(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    sound(feature_id=TGA)
    with pytest.raises(QualityError):
        judged()
    failed = conn.execute("select rule from quality.results where not success and severity = 'block'").fetchall()
    assert ("unique_key",) in failed


def test_a_dsn_will_do_for_a_connection(dsn: str, sound: Put, catalog: Catalog, home: Path) -> None:
    sound(value=7.7e18)
    assert judge(dsn, catalog, "run", docs="never", home=home).blocked == 1


def test_judging_leaves_no_connection_behind(conn: psycopg.Connection, sound: Put, judged: Judge) -> None:
    judged()
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    assert conn.execute(others).fetchone() == (0,)


def test_a_verdict_reads_as_a_sentence(sound: Put, judged: Judge) -> None:
    sound(value=7.7e18)
    assert str(judged()).splitlines()[:2] == [
        "candidates: 3 rows checked, 1 kept out (1 newly), 0 rejects resolved",
        f"  block: {WALCL}: expected_range: observed 1 of 1 rows, for example feature_id {WALCL}, version 1, "
        "ts 2024-01-03T00:00:00+00:00, available_at 2024-01-04T21:30:00+00:00, value 7.7e+18; "
        "expected value from 4e+11 to 2e+13 USD",
    ]
