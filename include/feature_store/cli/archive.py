"""`feature-store archive`: the bucket and what goes into it."""

from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress

from feature_store.catalog import Catalog
from feature_store.cli.options import print_table
from feature_store.settings import load_settings

app = typer.Typer(help="The bucket on S3 and what goes into it.", no_args_is_help=True)


@app.command()
def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
) -> None:
    """Make the bucket what it should be: versioned, encrypted, with a lifecycle. Safe to repeat."""
    from feature_store.archive import set_up

    settings = load_settings()
    done = set_up(settings, dry_run=dry_run)
    for change in done.changes:
        typer.echo(f"{'would' if dry_run else 'done:'} {change}")
    for refusal in done.refused:
        typer.echo(f"warning: {refusal}", err=True)
    if not done.changes:
        typer.echo(f"nothing to change at {settings.export_s3_uri}")


@app.command()
def export() -> None:
    """Write the Parquet files of all days that changed since the last export."""
    from feature_store.archive import export
    from feature_store.warehouse.connection import connect

    with connect() as conn, Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("days", total=None)
        done = export(conn, load_settings(), lambda days, total: bars.update(bar, completed=days, total=total))
    typer.echo(done)


@app.command()
def payloads(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would move, and what would expire.")
    ] = False,
) -> None:
    """Move landed bytes of answers to S3, then let go of those that no stream keeps any more."""
    from feature_store.archive import expire_payloads, move_payloads
    from feature_store.catalog import load_catalog
    from feature_store.warehouse.connection import connect

    catalog = load_catalog()
    with connect() as conn:
        if dry_run:
            _tell(conn, catalog)
            return
        typer.echo(move_payloads(conn, load_settings()))
        typer.echo(expire_payloads(conn, load_settings(), catalog))


def _tell(conn: psycopg.Connection, catalog: Catalog) -> None:
    from feature_store.archive import due_payloads, landed_payloads

    landed, due = landed_payloads(conn), due_payloads(conn, catalog)
    typer.echo(f"would move {landed.payloads} payloads ({landed.size_bytes} bytes)")
    if due:
        print_table(
            "would expire (awaited ones stay: never loaded, or with an open reject)", [vars(one) for one in due]
        )
    else:
        typer.echo("would expire nothing")
