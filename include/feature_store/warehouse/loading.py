"""From answers that were read to rows of the raw tables: decide when each was available, add what says something new.

Every row of an answer is loaded, a duplicate, or rejected; `raw.fetches` holds the counts, and they add up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, WarehouseError
from feature_store.warehouse.landing import Place
from feature_store.warehouse.reading import Answer, Part

LOAD = files(__package__).joinpath("loading.sql").read_text()
READINGS = {
    again: files(__package__).joinpath(f"readings_{'again' if again else 'first'}.sql").read_text()
    for again in (False, True)
}
TAKE_BACK = files(__package__).joinpath("taking_back.sql").read_text()

_BOOKKEEPING = ["fetch_id", "fetched_at", "available_at", "available_basis", "is_provisional", "reading", "xid"]
_KEYS = ("series", "ts", "vintage_date")


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

    def __str__(self) -> str:
        return (
            f"{self.fetched} rows fetched: {self.loaded} loaded, {self.duplicate} duplicate, {self.rejected} rejected"
        )


@dataclass(frozen=True)
class _Columns:
    """The columns of a raw table that the source determines, and of those the ones that always have a value."""

    keys: list[str]
    values: list[str]
    required: frozenset[str]


def load(
    conn: psycopg.Connection, place: Place, series: SeriesSpec, answers: Iterable[Answer], *, is_rereading: bool = False
) -> Counts:
    """Commit the rows of answers of one series, in the order of their fetches; of each answer all or none.

    A Malformed answer counts as one row, rejected: it is kept in raw.rejects with its reason. `is_rereading` says that
    the answers were read before: what they said then and do not say now is taken back.
    """
    readable: list[Answer] = []
    total = Counts()
    for answer in answers:
        if answer.error is None:
            readable.append(answer)
        else:
            total += _reject(conn, place, series, answer.fetch_id, answer.error)
    if readable:
        with conn.transaction():
            total += _load(conn, place, series, readable, is_rereading)
    return total


def _load(
    conn: psycopg.Connection, place: Place, series: SeriesSpec, answers: Sequence[Answer], is_rereading: bool
) -> Counts:
    # Two runs of one stream would both miss what the other is about to commit.
    conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"raw.{place.slug}_{place.stream}",))
    columns = _columns(conn, place)
    fetch_ids = [answer.fetch_id for answer in answers]
    parts = [part for answer in answers for part in answer.parts]
    _copy(conn, place, columns, parts)
    added, held = _add(conn, place, columns, answers, is_rereading) if parts else ({}, {})
    if is_rereading:
        _take_back(conn, place, columns, series, fetch_ids)
        conn.execute(
            """update raw.rejects set resolved_at = ops.now()
               where fetch_id = any(%s) and rule = 'unreadable_answer' and resolved_at is null""",
            (fetch_ids,),
        )
    conn.execute("drop table incoming")
    total = Counts()
    for answer in answers:
        loaded, new = held.get(answer.fetch_id, 0), added.get(answer.fetch_id, 0)
        _count(conn, answer.fetch_id, Counts(answer.fetched, loaded, answer.fetched - loaded), "loaded", None)
        total += Counts(answer.fetched, new, answer.fetched - new)
    return total


def _columns(conn: psycopg.Connection, place: Place) -> _Columns:
    rows = conn.execute(
        """select attname, attnotnull from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped and attname <> all(%s) order by attnum""",
        (place.table.as_string(conn), _BOOKKEEPING),
    ).fetchall()
    return _Columns(
        keys=[name for name, _ in rows if name in _KEYS],
        values=[name for name, _ in rows if name not in _KEYS],
        required=frozenset(name for name, is_required in rows if is_required),
    )


def _copy(conn: psycopg.Connection, place: Place, columns: _Columns, parts: Sequence[Part]) -> None:
    conn.execute(
        sql.SQL(
            """create temp table incoming on commit drop as
               select {columns}, fetch_id, null::timestamptz as released_at, null::timestamptz as settled_until,
                      null::timestamptz as stated_at, null::text as stated_basis
               from {table} where false"""
        ).format(columns=_list(columns.keys + columns.values), table=place.table)
    )
    for part in parts:
        if lacking := {name for name in columns.values if name != "unit"} - set(part.names):
            raise WarehouseError(f"raw.{place.slug}_{place.stream} has columns its parser does not give: {lacking}")
        with conn.cursor().copy(sql.SQL("copy incoming ({}) from stdin").format(_list(part.names))) as copy:
            copy.write(part.lines)


def _add(
    conn: psycopg.Connection, place: Place, columns: _Columns, answers: Sequence[Answer], is_rereading: bool
) -> tuple[dict[int, int], dict[int, int]]:
    """Add what says something new: by fetch, how many rows were added and how many it now has in the table."""
    names = {"keys": _list(columns.keys), "values": _list(columns.values)}
    parts = [part for answer in answers for part in answer.parts]
    statement = sql.SQL(LOAD).format(
        table=place.table,
        **names,
        readings=sql.SQL(READINGS[is_rereading]).format(**names),
        order=_list([*columns.keys[2:], "fetch_id"]),
    )
    counted = conn.execute(
        statement,
        {
            "fetch_ids": [answer.fetch_id for answer in answers],
            "series": list(frozenset().union(*(part.series for part in parts))),
            "first": min(part.first for part in parts),
            "last": max(part.last for part in parts),
        },
    ).fetchall()
    return {fetch: added for fetch, added, _ in counted}, {fetch: held for fetch, _, held in counted}


def _take_back(
    conn: psycopg.Connection, place: Place, columns: _Columns, series: SeriesSpec, fetch_ids: list[int]
) -> None:
    optional = [name for name in columns.values if name not in columns.required]
    conn.execute(
        sql.SQL(TAKE_BACK).format(
            table=place.table,
            keys=_list(columns.keys),
            same_key=sql.SQL(" and ").join(
                sql.SQL("i.{0} is not distinct from held.{0}").format(sql.Identifier(name)) for name in columns.keys
            ),
            values=_list(columns.values),
            nothing=sql.SQL(", ").join(
                sql.Identifier(name) if name in columns.required else sql.NULL for name in columns.values
            ),
            optional=_list(optional),
        ),
        {"series": series.name, "fetch_ids": fetch_ids},
    )


def _reject(conn: psycopg.Connection, place: Place, series: SeriesSpec, fetch_id: int, error: Malformed) -> Counts:
    """Keep an unreadable answer, which counts as one row, with its reason; once, however often it is read."""
    counts = Counts(fetched=1, rejected=1)
    with conn.transaction():
        conn.execute(
            """insert into raw.rejects (source, stream, fetch_id, rule, reason, content)
               select %(slug)s, %(stream)s, %(fetch_id)s, 'unreadable_answer', %(reason)s, %(content)s
               where not exists (
                 select from raw.rejects
                 where fetch_id = %(fetch_id)s and rule = 'unreadable_answer' and resolved_at is null
               )""",
            {
                "slug": place.slug,
                "stream": place.stream,
                "fetch_id": fetch_id,
                "reason": str(error),
                "content": Jsonb({"series": series.name}),
            },
        )
        _count(conn, fetch_id, counts, "rejected", str(error))
    return counts


def _count(conn: psycopg.Connection, fetch_id: int, counts: Counts, outcome: str, reason: str | None) -> None:
    conn.execute(
        """update raw.fetches set outcome = %s, reason = %s, rows_fetched = %s, rows_loaded = %s,
             rows_duplicate = %s, rows_rejected = %s where fetch_id = %s""",
        (outcome, reason, counts.fetched, counts.loaded, counts.duplicate, counts.rejected, fetch_id),
    )


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
