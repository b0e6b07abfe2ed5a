"""Land first, then parse: an answer is committed before anything reads it, and its rows are loaded after.

Every row of an answer is loaded, a duplicate, or rejected; `raw.fetches` holds the counts, and they add up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

import psycopg
import zstandard
from psycopg import sql
from psycopg.types.json import Jsonb

from feature_store.catalog.contracts import SeriesSpec, normal_unit
from feature_store.errors import Malformed, SourceError
from feature_store.sources.contract import Payload, Row
from feature_store.warehouse.availability import Availability, availability

LOAD = files(__package__).joinpath("landing.sql").read_text()

MANY_ROWS = 200


@dataclass(frozen=True)
class Place:
    """Where rows go: the stream `raw.<slug>_<stream>` and the zone of the dates its source writes."""

    slug: str
    stream: str
    zone: str
    has_vintages: bool = False

    @property
    def table(self) -> sql.Identifier:
        """The raw table."""
        return sql.Identifier("raw", f"{self.slug}_{self.stream}")


@dataclass(frozen=True)
class Counts:
    """What became of the rows of one or more answers."""

    fetched: int = 0
    loaded: int = 0
    duplicate: int = 0
    rejected: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.fetched + other.fetched,
            self.loaded + other.loaded,
            self.duplicate + other.duplicate,
            self.rejected + other.rejected,
        )


def land(conn: psycopg.Connection, place: Place, payload: Payload, fetched_at: datetime, run_id: str) -> int:
    """Store an answer's bytes and its fetch, committed unless the caller's transaction is open; the fetch's id."""
    digest = sha256(payload.content).hexdigest()
    with conn.transaction():
        conn.execute(
            "insert into raw.payloads (sha256, content, size_bytes) values (%s, %s, %s) on conflict do nothing",
            (digest, zstandard.compress(payload.content), len(payload.content)),
        )
        row = conn.execute(
            """insert into raw.fetches
                 (source, stream, endpoint, url, params, context, run_id, status, content_type, sha256, fetched_at,
                  elapsed_ms)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning fetch_id""",
            (
                place.slug, place.stream, payload.endpoint, payload.url, Jsonb(dict(payload.params)),
                Jsonb(dict(payload.context)), run_id, payload.status, payload.content_type, digest, fetched_at,
                payload.elapsed_ms,
            ),
        ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def record_failure(
    conn: psycopg.Connection, place: Place, error: SourceError, fetched_at: datetime, run_id: str
) -> None:
    """Commit that a request gave nothing usable: with the answer's bytes where one came."""
    with conn.transaction():
        if error.payload is not None:
            fetch_id = land(conn, place, error.payload, fetched_at, run_id)
            conn.execute(
                "update raw.fetches set outcome = 'failed', reason = %s where fetch_id = %s",
                (str(error), fetch_id),
            )
        else:
            conn.execute(
                """insert into raw.fetches (source, stream, endpoint, url, run_id, fetched_at, outcome, reason)
                   values (%s, %s, '', '', %s, %s, 'failed', %s)""",
                (place.slug, place.stream, run_id, fetched_at, str(error)),
            )


def load(conn: psycopg.Connection, place: Place, series: SeriesSpec, fetch_id: int, rows: Iterable[Row]) -> Counts:
    """Commit the rows of a landed answer, all or none.

    Rows that cannot be read (Malformed), or that state a unit the catalog does not scale, reject the whole answer:
    it is kept in raw.rejects with its reason, and Malformed is raised.
    """
    try:
        parsed = list(rows)
        _check_units(series, parsed)
        _check_keys(parsed)
    except Malformed as error:
        _reject(conn, place, series, fetch_id, error)
        raise
    fresh = [row for row in parsed if not row.is_repeat]
    with conn.transaction():
        loaded = _insert(conn, place, fetch_id, fresh, availability(series, place.zone, fresh))
        counts = Counts(fetched=len(parsed), loaded=loaded, duplicate=len(parsed) - loaded)
        _count(conn, fetch_id, counts, "loaded", None)
        if loaded > MANY_ROWS:
            # The transform reads right after a bulk load, long before autovacuum would tell the planner about it.
            conn.execute(sql.SQL("analyze {}").format(place.table))
    return counts


def _insert(
    conn: psycopg.Connection, place: Place, fetch_id: int, rows: Sequence[Row], known: Sequence[Availability]
) -> int:
    if not rows:
        return 0
    has_unit = rows[0].unit is not None
    keys = ["series", "ts"] + ["vintage_date"] * place.has_vintages
    values = list(rows[0].values) + ["unit"] * has_unit
    # Two runs of one stream would both miss what the other is about to commit.
    conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"raw.{place.slug}_{place.stream}",))
    conn.execute(
        sql.SQL(
            """create temp table incoming on commit drop as
               select {columns}, null::timestamptz as released_at, null::timestamptz as settled_until,
                      null::timestamptz as stated_at, null::text as stated_basis
               from {table} where false"""
        ).format(columns=_list(keys + values), table=place.table)
    )
    with conn.cursor().copy(sql.SQL("copy incoming from stdin")) as copy:
        for row, at in zip(rows, known, strict=True):
            copy.write_row((
                row.series, row.ts, *([row.vintage] * place.has_vintages),
                *row.values.values(), *([row.unit] * has_unit),
                at.released_at, at.settled_until, at.stated_at, at.stated_basis,
            ))  # fmt: skip
    statement = sql.SQL(LOAD).format(
        table=place.table,
        keys=_list(keys),
        values=_list(values),
        order=_list([*keys[2:], "fetch_id"]),
        differs=sql.SQL(" or ").join(
            sql.SQL("{0} is distinct from lag({0}) over neighbours").format(sql.Identifier(name)) for name in values
        ),
    )
    loaded = conn.execute(statement, {"fetch_id": fetch_id}).rowcount
    conn.execute("drop table incoming")
    return loaded


def _check_units(series: SeriesSpec, rows: Sequence[Row]) -> None:
    if not series.units:
        return
    for unit in {row.unit for row in rows if row.unit is not None}:
        if normal_unit(unit) not in series.units:
            raise Malformed(
                f"{series.source_slug}/{series.stream}/{series.name} states the unit {unit!r}, and the catalog scales "
                f"only {list(series.units)} (features {list(series.feature_ids)}): if the source changed its unit, add "
                "the factor to `scale` in features.yaml"
            )


def _check_keys(rows: Sequence[Row]) -> None:
    seen: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        held = seen.setdefault((row.series, row.ts, row.vintage), row.values)
        if held != row.values:
            raise Malformed(
                f"one answer gives {row.series} at {row.ts.isoformat()} twice: {dict(held)} and {dict(row.values)}"
            )


def _reject(conn: psycopg.Connection, place: Place, series: SeriesSpec, fetch_id: int, error: Malformed) -> None:
    with conn.transaction():
        conn.execute(
            """insert into raw.rejects (source, stream, fetch_id, rule, reason, content)
               values (%s, %s, %s, 'unreadable_answer', %s, %s)""",
            (place.slug, place.stream, fetch_id, str(error), Jsonb({"series": series.name})),
        )
        _count(conn, fetch_id, Counts(fetched=1, rejected=1), "rejected", str(error))


def _count(conn: psycopg.Connection, fetch_id: int, counts: Counts, outcome: str, reason: str | None) -> None:
    conn.execute(
        """update raw.fetches set outcome = %s, reason = %s, rows_fetched = %s, rows_loaded = %s,
             rows_duplicate = %s, rows_rejected = %s where fetch_id = %s""",
        (outcome, reason, counts.fetched, counts.loaded, counts.duplicate, counts.rejected, fetch_id),
    )


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
