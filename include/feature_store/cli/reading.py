"""`feature-store latest | query | historical | revisions | explain`: questions about points, for people and scripts."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_store.cli.options import AsJson, instant, print_json, print_table, span
from feature_store.errors import QueryError
from feature_store.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.tree import Tree

    from feature_store.serving import QueryLayer
    from feature_store.serving.explain import Assessed, Explained

SHOWN_POINTS = 100
"""Of an answer that is shown as a table, from its end; CSV and JSON have all of them."""

_SHOWN = ("feature_id", "ts", "value", "available_at", "available_basis", "ingested_at", "is_provisional")


class Vintage(StrEnum):
    """Which version of each ts."""

    LATEST = "latest"
    FIRST = "first"
    ALL = "all"


def feature_ids(incomplete: str) -> list[str]:
    """The features whose id begins so: what a shell completes."""
    from feature_store.catalog import load_catalog

    return [name for name in load_catalog().features if name.startswith(incomplete)]


Features = Annotated[list[str], typer.Argument(autocompletion=feature_ids, help="One feature or several.")]
Feature = Annotated[str, typer.Argument(autocompletion=feature_ids, help="The feature.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print header and rows only, as CSV.")]
Since = Annotated[datetime | None, typer.Option(parser=instant, help="From this ts on: ISO 8601, UTC without a zone.")]
Until = Annotated[datetime | None, typer.Option(parser=instant, help="Before this ts.")]
AsOf = Annotated[datetime | None, typer.Option(parser=instant, help="As it was known at that instant.")]
AsStored = Annotated[datetime | None, typer.Option(parser=instant, help="As this store held it at that instant.")]
Strict = Annotated[
    bool,
    typer.Option("--strict/--no-strict", help="Whether backfilled values count only from when they were ingested."),
]


def latest(
    features: Annotated[list[str] | None, typer.Argument(autocompletion=feature_ids, help="All when none.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the newest point of each feature: value, unit, age, and whether it is stale.

    feature-store latest macro/us/walcl_total_usd crypto/btc/price_usd
    """
    rows = _layer().latest(features or None)
    if as_json or as_csv:
        _print(rows, as_csv=as_csv)
        return
    print_table(
        "latest",
        [
            {
                "feature": row["feature_id"],
                "value": row["value"],
                "unit": row["unit"],
                "ts": row["ts"],
                "age": timedelta(milliseconds=row["age_ms"]),
                "stale": row["is_stale"],
                "basis": "provisional" if row["is_provisional"] else row["available_basis"],
            }
            for row in rows.to_pylist()
        ],
    )


def query(  # noqa: PLR0913 - a question has that many sides
    features: Features,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    as_stored: AsStored = None,
    strict: Strict = True,
    vintage: Annotated[
        Vintage, typer.Option(help="Of each ts the newest version, the first, or all.")
    ] = Vintage.LATEST,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the points of a range, as known or as stored at any instant.

    feature-store query macro/us/tga_balance_usd --since 2024-05-01 --as-of 2024-06-03T13:30Z
    feature-store query crypto/btc/price_usd --since 2026-11-01 --csv > btc.csv
    """
    asked = {"as_of": as_of, "as_stored": as_stored, "strict": strict, "vintage": vintage.value}
    layer = _layer()
    if as_csv:
        with layer.stream(features, since, until, **asked) as batches:  # type: ignore[arg-type]
            _write_csv(batches.schema, batches)
        return
    rows = layer.query(features, since, until, **asked)  # type: ignore[arg-type]
    if as_json:
        _print(rows)
        return
    shown = rows.select(list(_SHOWN)).slice(max(0, rows.num_rows - SHOWN_POINTS))
    print_table("points", shown.to_pylist())
    if shown.num_rows < rows.num_rows:
        typer.echo(f"These are the last {shown.num_rows} of {rows.num_rows} points: --csv and --json print all")
    _say_backfilled(rows)


def historical(  # noqa: PLR0913 - a question has that many sides
    features: Features,
    spine: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="CSV or Parquet with a column `at`, perhaps `as_of`, and others."
        ),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", parser=instant, help="Instead of a file: the first instant.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", parser=instant, help="The last one.")] = None,
    every: Annotated[timedelta, typer.Option(parser=span, help="From one to the next, such as P1D or PT1H.")] = "P1D",  # type: ignore[assignment]
    max_age: Annotated[
        timedelta | None, typer.Option(parser=span, help="Leaves out what was older, closed time apart.")
    ] = None,
    as_stored: AsStored = None,
    strict: Strict = True,
    detail: Annotated[
        bool, typer.Option("--detail", help="Also each point's ts, valid_at, available_at and basis.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Join instants with features: for each the newest point that was known then, as it was known then.

    feature-store historical macro/us/vix_index --from 2024-01-01 --to 2024-06-30 --max-age P10D
    feature-store historical macro/us/vix_index --spine trades.csv --out joined.parquet
    """
    instants = _spine(spine, since, until, every)
    rows = _layer().historical(instants, features, as_stored=as_stored, strict=strict, max_age=max_age, detail=detail)
    if out is not None:
        import pyarrow.parquet as pq

        pq.write_table(rows, out)
        typer.echo(f"{rows.num_rows} rows in {out}")
    elif as_json or as_csv:
        _print(rows, as_csv=as_csv)
    else:
        print_table("as known at each instant", rows.slice(max(0, rows.num_rows - SHOWN_POINTS)).to_pylist())
        if rows.num_rows > SHOWN_POINTS:
            typer.echo(f"These are the last {SHOWN_POINTS} of {rows.num_rows} rows: --csv, --json and --out have all")
        _say_backfilled(rows)


def revisions(
    feature: Feature,
    ts: Annotated[datetime | None, typer.Option(parser=instant, help="One point; else a range.")] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show every version of a point, or of the points of a range, in the order they were told.

    feature-store revisions macro/us/tga_balance_usd --ts 2024-05-29
    """
    if ts is not None and (since is not None or until is not None):
        raise QueryError("--ts names one point: leave out --since and --until")
    rows = _layer().revisions(feature, since, until, ts=ts)
    if as_json or as_csv:
        _print(rows, as_csv=as_csv)
        return
    columns = (
        "ts",
        "value",
        "version",
        "available_at",
        "available_basis",
        "ingested_at",
        "is_provisional",
        "confidence",
    )
    print_table(f"{feature}: {rows.num_rows} versions", rows.select(list(columns)).to_pylist())


def explain(
    feature: Feature,
    ts: Annotated[datetime | None, typer.Option(parser=instant, help="The point; the newest when absent.")] = None,
    as_of: AsOf = None,
    as_stored: AsStored = None,
    strict: Strict = True,
    as_json: AsJson = False,
) -> None:
    """Show where a value comes from: its inputs, their answers, and where the bytes lie.

    feature-store explain macro/us/net_liquidity_usd --ts 2024-05-29
    """
    from dataclasses import asdict

    from rich.console import Console

    layer = _layer()
    chosen = ts or _newest(layer, feature)
    found = layer.explain(feature, chosen, as_of=as_of, as_stored=as_stored, strict=strict)
    if as_json:
        print_json(asdict(found))
    else:
        Console(highlight=False, soft_wrap=True).print(_tree(found))


def _layer() -> "QueryLayer":
    from feature_store.catalog import load_catalog
    from feature_store.serving import QueryLayer

    return QueryLayer(load_settings(), load_catalog())


def _newest(layer: "QueryLayer", feature: str) -> datetime:
    rows = layer.latest([feature])
    if not rows.num_rows:
        raise QueryError(f"{feature} has no point yet")
    newest: datetime = rows["ts"][0].as_py()
    return newest


def _spine(file: Path | None, since: datetime | None, until: datetime | None, every: timedelta) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    if file is not None:
        if since is not None or until is not None:
            raise QueryError("--spine has its own instants: leave out --from and --to")
        try:
            table = pq.read_table(file) if file.suffix == ".parquet" else pyarrow.csv.read_csv(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise QueryError(f"{file} cannot be read as {file.suffix.lstrip('.') or 'CSV'}: {error}") from None
        return _with_zones(table)
    if since is None or until is None:
        raise QueryError("which instants? Give --spine FILE, or --from and --to")
    if until < since:
        raise QueryError(f"--to {until.isoformat()} lies before --from {since.isoformat()}")
    steps = (until - since) // every + 1
    return pa.table({"at": pa.array([since + nth * every for nth in range(steps)], pa.timestamp("us", "UTC"))})


def _with_zones(table: "pa.Table") -> "pa.Table":
    """Instants of a file without a zone, and dates, as UTC."""
    import pyarrow as pa

    for name in {"at", "as_of"} & set(table.column_names):
        column = table[name]
        if pa.types.is_date(column.type) or (pa.types.is_timestamp(column.type) and column.type.tz is None):
            column = column.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _print(rows: "pa.Table", *, as_csv: bool = False) -> None:
    """Rows for scripts: CSV, or JSON with instants in ISO 8601."""
    if as_csv:
        _write_csv(rows.schema, iter(rows.to_batches()))
        return
    found = rows.to_pylist()
    for row in found:
        for name in {"meta", "evidence"} & set(row):
            row[name] = json.loads(row[name])
        row.update({name: value.isoformat() for name, value in row.items() if isinstance(value, datetime)})
    print_json(found)


def _write_csv(schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
    from feature_store.cli.answers import write_csv
    from feature_store.serving.shell import Answer

    write_csv(Answer(schema, batches), sys.stdout)


def _say_backfilled(rows: "pa.Table") -> None:
    from feature_store.serving import backfilled_share

    found: Any = backfilled_share(rows)
    shares = found if isinstance(found, dict) else {"": found}
    told = [f"{share:.1%} of the values{f' of {name}' if name else ''}" for name, share in shares.items() if share]
    if told:
        typer.echo(f"Backfilled, and so perhaps rewritten since: {', '.join(told)}")


def _assessed(assessment: "Assessed") -> str:
    reasons = ", ".join(f"{name} {factor:g}" for name, factor in assessment.reasons.items())
    return (
        f"assessed {assessment.assessed_at:%Y-%m-%d %H:%M:%S} UTC: {reasons or 'no reasons'}; "
        f"at ingest the confidence was {assessment.confidence_at_ingest:g}"
    )


def _tree(found: "Explained") -> "Tree":
    from rich.markup import escape
    from rich.tree import Tree

    from feature_store.display import number

    value = "withdrawn" if found.value is None else number(found.value)
    root = Tree(
        f"[bold]{escape(found.feature_id)}[/] of {found.ts:%Y-%m-%d %H:%M:%S} UTC: [bold]{value}[/]\n"
        f"available {found.available_at:%Y-%m-%d %H:%M:%S} UTC ({found.available_basis}), "
        f"stored {found.ingested_at:%Y-%m-%d %H:%M:%S} UTC, definition {found.version}, confidence {found.confidence:g}"
        + ("" if found.assessment is None else f"\n{escape(_assessed(found.assessment))}")
    )
    for source in found.sources:
        root.add(
            f"{source.source}/{source.stream}, fetched {source.fetched_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"status {source.status}\n{escape(source.url)}\nsha256 {source.sha256}\nbytes: {escape(source.payload)}"
        )
    for each in found.inputs:
        root.add(_tree(each))
    return root


COMMANDS: Sequence[Any] = (latest, query, historical, revisions, explain)
