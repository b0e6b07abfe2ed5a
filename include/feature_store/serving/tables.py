"""What the tables of the SQL shell read: the feature tables from hot and archive alike, any other from Postgres."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.serving.lazy import Scan, Span, instant
from feature_store.serving.moment import Moment
from feature_store.serving.points import Asked, points
from feature_store.warehouse.versions import INSTANT, VERSIONS, Hot

JSON = "json"
"""Marks a field of JSON texts."""

_TYPES = {
    "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(),
    "float8": pa.float64(), "text": pa.string(), "varchar": pa.string(), "bytea": pa.binary(), "date": pa.date32(),
    "time": pa.time64("us"), "timestamp": pa.timestamp("us"), "timestamptz": INSTANT,
    "interval": pa.month_day_nano_interval(),
}  # fmt: skip
_CASTS = {
    "numeric": ("{}::float8", pa.float64()),
    "oid": ("{}::int8", pa.int64()),
    "xid8": ("{}::text::int8", pa.int64()),
}

_COLUMNS = sql.SQL(
    """select n.nspname::text as schema, c.relname::text as relation, a.attname::text as name, t.typname::text as type,
         t.typcategory = 'A' or t.typname in ('json', 'jsonb') as is_nested
       from pg_class as c
       join pg_namespace as n on n.oid = c.relnamespace
       join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       join pg_type as t on t.oid = a.atttypid
       where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
         and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
         and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
       order by n.nspname, c.relname, a.attnum"""
)


@dataclass(frozen=True)
class Relation:
    """A table or view of Postgres."""

    schema: str
    name: str
    columns: pa.Schema
    """As the shell has them; what Arrow has no type for is text, or a number."""
    selected: dict[str, sql.Composable]
    """By its name how each column is asked for."""

    @classmethod
    def of(cls, schema: str, name: str, columns: Sequence[dict[str, object]]) -> Self:
        fields, selected = [], {}
        for column in columns:
            field, expression = _column(str(column["name"]), str(column["type"]), is_nested=bool(column["is_nested"]))
            fields.append(field)
            selected[field.name] = expression
        return cls(schema, name, pa.schema(fields), selected)

    @property
    def path(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def json_columns(self) -> list[str]:
        """The columns whose texts are JSON."""
        return [field.name for field in self.columns if field.metadata]

    def read(self, moment: Moment, scan: Scan) -> Iterator[pa.RecordBatch]:
        """Its rows from Postgres, bounded by what the filter says of instants and dates."""
        query = sql.SQL("select {} from {} where {}").format(
            sql.SQL(", ").join(
                sql.SQL("{} as {}").format(self.selected[name], sql.Identifier(name)) for name in scan.columns
            ),
            sql.Identifier(self.schema, self.name),
            sql.SQL(" and ").join([sql.SQL("true"), *self._bounds(scan)]),
        )
        with moment.hot() as hot:
            yield from hot.ask(query, pa.schema([self.columns.field(name) for name in scan.columns]))

    def _bounds(self, scan: Scan) -> Iterator[sql.Composable]:
        for name in scan.named:
            kind = self.columns.field(name).type
            if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
                spans = [_bounded(name, kind, span) for span in scan.spans(name)]
                yield sql.SQL("({})").format(sql.SQL(" or ").join([sql.SQL("false"), *spans]))


def relations(hot: Hot) -> list[Relation]:
    """Every table and view that may be read, but for partitions."""
    rows = hot.ask(_COLUMNS).read_all().to_pylist()
    by_name = groupby(rows, key=lambda row: (row["schema"], row["relation"]))
    return [Relation.of(schema, name, list(columns)) for (schema, name), columns in by_name]


def read_versions(moment: Moment, scan: Scan) -> Iterator[pa.RecordBatch]:
    """The rows of features.features_versions, wherever they lie."""
    names = {*scan.columns, "version"}
    with moment.versions() as versions:
        for feature, since, until in _pieces(moment, scan):
            for batch in versions.read([feature], since, until, names & set(VERSIONS.names)):
                yield _with_grain(moment, feature, batch) if "grain" in names else batch


def read_values(moment: Moment, scan: Scan) -> Iterator[pa.RecordBatch]:
    """What features.features_values has, or had before days of it retired."""
    names = {*scan.columns, "version"}
    asked = Asked(strict=False, columns=[name for name in VERSIONS.names if name in names])
    with moment.versions() as versions:
        for feature, since, until in _pieces(moment, scan):
            definition = moment.definition(versions, feature)
            if definition is not None:
                for batch in points(versions, feature, definition, asked, since, until):
                    yield _with_grain(moment, feature, batch) if "grain" in names else batch


def read_nothing(moment: Moment, scan: Scan) -> Iterator[pa.RecordBatch]:
    """What a snapshot has of a table that goes on changing."""
    return iter(())


def panel_as_stored(columns: pa.Schema) -> str:
    """The macro features.daily_panel_as_stored, as the function of Postgres: from the columns of the panel."""
    kinds = {pa.float64(): ("max(value)", ""), pa.bool_(): ("bool_or(is_stale)", "_is_stale")}
    cells = []
    for field in columns.remove(columns.get_field_index("day")):
        cell, suffix = kinds.get(field.type, ("max(age)", "_age"))
        feature = field.name.removesuffix(suffix)
        cells.append(f"""{cell} filter (where replace(feature_id, '/', '_') = '{feature}') as "{field.name}\"""")
    return f"""
        create macro features.daily_panel_as_stored(stored_at) as table
        select day, {", ".join(cells)}
        from (
          from features.daily_cells join features.current_definitions using (feature_id, version)
          where ingested_at <= stored_at::timestamptz
          qualify row_number() over (partition by day, feature_id order by ingested_at desc) = 1
        )
        group by day"""  # noqa: S608 - names of our own


def _pieces(moment: Moment, scan: Scan) -> Iterator[tuple[str, *Span]]:
    """The features and spans of ts that the answer may lie in."""
    features, spans = scan.values("feature_id", list(moment.shown)), scan.spans("ts")
    return ((feature, since, until) for feature in features for since, until in spans)


def _with_grain(moment: Moment, feature: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    daily = pc.is_in(batch["version"], pa.array(moment.daily(feature), pa.int32()))
    return batch.append_column("grain", pc.if_else(daily, "daily", "intraday"))


def _column(name: str, kind: str, *, is_nested: bool) -> tuple[pa.Field, sql.Composable]:
    """A column of a Postgres type: as the shell has it, and how it is asked for."""
    column = sql.Identifier(name)
    if is_nested:
        return pa.field(name, pa.string(), metadata={JSON: ""}), sql.SQL("to_json({})::text").format(column)
    if kind in _TYPES:
        return pa.field(name, _TYPES[kind]), column
    cast, as_type = _CASTS.get(kind, ("{}::text", pa.string()))
    return pa.field(name, as_type), sql.SQL(cast).format(column)


def _bounded(name: str, kind: pa.DataType, span: Span) -> sql.Composable:
    bounds = [
        sql.SQL("{} {} {}").format(sql.Identifier(name), sql.SQL(sign), sql.Literal(instant(edge, kind)))
        for sign, edge in zip((">=", "<"), span, strict=True)
        if edge is not None
    ]
    return sql.SQL("({})").format(sql.SQL(" and ").join([sql.SQL("true"), *bounds]))
