"""`feature-store rejects` and `feature-store reprocess`: what was kept out, and reading stored answers again."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from feature_store.catalog import Catalog
from feature_store.cli.options import AsJson, instant, print_json, print_table

app = typer.Typer(help="What was kept out of the store, and why.", no_args_is_help=True)

Source = Annotated[str | None, typer.Option(help="Slug of one source, such as binance.")]
Rule = Annotated[str | None, typer.Option(help="One rule, such as unreadable_answer.")]


@app.command("list")
def list_(
    source: Source = None,
    rule: Rule = None,
    also_resolved: Annotated[bool, typer.Option("--all", help="Also those that a later run accepted.")] = False,
    limit: Annotated[int, typer.Option(help="How many to list, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count the rejects by rule and list the newest."""
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.rejects import by_rule, newest

    with connect() as conn:
        counts = by_rule(conn, source, rule, also_resolved=also_resolved)
        rows = newest(conn, source, rule, also_resolved=also_resolved, limit=limit)
    if as_json:
        print_json({"by_rule": counts, "rejects": rows})
    else:
        print_table("by rule", counts)
        print_table("newest", [_short(row) for row in rows])


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """What fits a line; `rejects show` has the rest."""
    what = "/".join(str(row[name]) for name in ("source", "stream", "of") if row[name])
    shown = {"reject": row["reject_id"], "of": what, "ts": row["ts"], "rule": row["rule"]}
    # The address comes first, and is long.
    reason = row["reason"].partition(" answered ")[2] or row["reason"]
    return {**shown, "reason": reason[:60], "resolved": row["resolved_at"]}


@app.command()
def show(reject_id: Annotated[int, typer.Argument(help="Its number, from `rejects list`.")]) -> None:
    """Show one reject as it was, with the fetch that brought it."""
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.rejects import one

    with connect() as conn:
        print_json(one(conn, reject_id))


@app.command()
def retry(
    reject_ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers from `rejects list`; all without one.")
    ] = None,
    source: Source = None,
    rule: Rule = None,
) -> None:
    """Try again: read unreadable answers with today's parser, judge blocked candidates by today's rules.

    What is accepted keeps the time at which it was fetched; it is ingested now. Blocked candidates are judged again
    all together, as at every transform.
    """
    from feature_store.catalog import load_catalog
    from feature_store.pipeline.transform import transform
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.rejects import unreadable

    catalog = load_catalog()
    with connect() as conn:
        for slug, fetch_ids in unreadable(conn, source, rule, reject_ids).items():
            _reread(conn, catalog, slug, None, fetch_ids)
        done = transform(conn, catalog, load_settings(), "rejects retry")
    typer.echo(f"{done.resolved} blocked candidates accepted or gone, {done.blocked} still blocked")
    typer.echo(f"{done.appended} versions appended")


def reprocess(
    source: Annotated[str, typer.Option(help="Slug of the source, such as fred.")],
    since: Annotated[
        datetime, typer.Option(parser=instant, help="Answers fetched since then: ISO 8601, UTC unless it names a zone.")
    ],
) -> None:
    """Read stored answers of a source again, after its parser was mended, and publish what reads differently.

    Corrected values keep the time at which they were available; they are ingested now.
    """
    from feature_store.catalog import load_catalog
    from feature_store.pipeline.transform import transform
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    catalog = load_catalog()
    with connect() as conn:
        _reread(conn, catalog, catalog.source(source).slug, since, None)
        done = transform(conn, catalog, load_settings(), f"reprocess {source}")
    typer.echo(f"{done.appended} versions appended, {done.blocked} blocked")


def _reread(
    conn: psycopg.Connection, catalog: Catalog, slug: str, since: datetime | None, fetch_ids: list[int] | None
) -> None:
    from feature_store.archive import read_payload
    from feature_store.settings import load_settings
    from feature_store.warehouse.rereading import reread

    settings = load_settings()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"answers of {slug}", total=None)
        for found in reread(conn, catalog, slug, partial(read_payload, conn, settings), since, fetch_ids):
            bars.update(bar, completed=found.answers + found.expired, total=found.total)
    typer.echo(f"{slug}: {found.answers} answers read again; {found.counts}")
    for problem in (*found.left_alone, *found.unreadable):
        typer.echo(f"  {problem}", err=True)
