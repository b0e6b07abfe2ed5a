"""Raw rows stay where they are; a raw table whose shape is wrong is refused."""

from pathlib import Path

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.errors import QualityError
from feature_store.quality.judge import judge_raw
from tests.quality import NOW

_FETCH = (
    "insert into raw.fetches (source, stream, endpoint, url, fetched_at) values ('fred', 'observations', '', '', %s)"
)
_ROW = """
insert into raw.fred_observations
  (series, ts, vintage_date, value, unit, fetch_id, fetched_at, available_at, available_basis)
values (%s, '2024-01-03', '2024-01-04', 7.7, 'x', 1, %s, %s, 'vintage')
"""


@pytest.fixture
def raw(db: psycopg.Connection) -> psycopg.Connection:
    """A store with one fetch, whose clock stands still."""
    clock.freeze(db, NOW)
    db.execute(_FETCH, (NOW,))
    return db


def test_sound_rows_pass(raw: psycopg.Connection, catalog: Catalog, home: Path) -> None:
    raw.execute(_ROW, ("WALCL", NOW, NOW))
    verdict = judge_raw(raw, catalog, "run", docs="never", home=home)
    assert (verdict.suite, verdict.checked, verdict.failures) == ("raw_fred_observations", 1, ())


def test_what_only_warns_is_told_and_stays(raw: psycopg.Connection, catalog: Catalog, home: Path) -> None:
    raw.execute(_ROW, ("UNHEARD_OF", "2024-01-05", NOW))
    verdict = judge_raw(raw, catalog, "run", docs="never", home=home)
    assert [r.rule for r in verdict.failures] == ["known_series", "not_available_after_it_was_fetched"]
    assert "series UNHEARD_OF" in verdict.failures[0].observed
    assert verdict.blocked_by_rule == {}
    assert raw.execute("select count(*) from raw.fred_observations").fetchone() == (1,)
    recorded = raw.execute("select rule from quality.results where not success order by 1").fetchall()
    assert recorded == [("known_series",), ("not_available_after_it_was_fetched",)]


def test_a_changed_shape_is_refused(raw: psycopg.Connection, catalog: Catalog, home: Path) -> None:
    raw.execute("alter table raw.fred_observations rename column unit to units")
    with pytest.raises(QualityError, match="columns: observed no column unit and an unknown column units"):
        judge_raw(raw, catalog, "run", docs="never", home=home)
