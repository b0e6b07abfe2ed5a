"""Whatever is written in whatever order, with exports in between: in the end S3 holds what the table holds."""

from collections import defaultdict

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .store import A, B, Point, Store, key

HOURS = [f"2024-03-{day:02} {hour:02}:00" for day in (4, 5, 6) for hour in (0, 23)]

POINTS = st.builds(
    Point,
    ts=st.sampled_from(HOURS),
    value=st.sampled_from([None, 1.0, 2.0]),
    feature=st.sampled_from([A, B]),
    version=st.sampled_from([1, 1, 2]),
    available_at=st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-03"]),
)
BATCHES = st.lists(POINTS, max_size=6, unique_by=lambda p: (p.feature, p.version, p.ts, p.available_at))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(BATCHES, st.booleans()), min_size=1, max_size=4))
def test_after_an_export_the_files_are_the_table(store: Store, steps: list[tuple[list[Point], bool]]) -> None:
    for batch, with_export in steps:
        store.append(*batch)
        if with_export:
            store.export()
    store.export()
    assert store.values() == expected(store.conn)
    assert store.dirty() == set()
    before = store.writes()
    store.mark_all()
    store.export()
    assert store.writes() == before, "what did not change is not written"


def expected(conn: psycopg.Connection) -> dict[str, list[float]]:
    held: defaultdict[str, list[float]] = defaultdict(list)
    rows = conn.execute(
        """select feature_id, (ts at time zone 'UTC')::date::text, value
           from features.features_values order by feature_id, ts"""
    )
    for feature, day, value in rows:
        held[key(day, feature)].append(value)
    conn.commit()
    return dict(held)
