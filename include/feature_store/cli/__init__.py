"""The command line: `feature-store …`."""

import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from feature_store.cli import archive, catalog, keys, quality, reading, rejects, replay, stack
from feature_store.cli.backfill import backfill
from feature_store.cli.options import AsJson, instant, print_json, print_table, tell
from feature_store.cli.publishing import publish
from feature_store.cli.runs import run
from feature_store.cli.simulate import simulate
from feature_store.errors import FeatureStoreError

app = typer.Typer(no_args_is_help=True, help="A feature store for financial data that never lies about time.")
app.add_typer(archive.app, name="archive")
app.add_typer(archive.snapshots, name="snapshot")
app.add_typer(catalog.app, name="catalog")
app.add_typer(keys.app, name="keys")
app.add_typer(quality.app, name="quality")
app.add_typer(rejects.app, name="rejects")
app.add_typer(replay.app, name="replay")
app.add_typer(stack.app, name="stack")
for command in reading.COMMANDS:
    app.command()(command)
app.command()(publish)
app.command()(run)
app.command()(backfill)
app.command()(rejects.reprocess)
app.command()(simulate)
console = Console()


@app.command()
def settings() -> None:
    """Show every setting, its variable and where to read more."""
    from feature_store.settings import Settings, load_settings

    values = load_settings()
    table = Table("variable", "value", "meaning")
    for name, field in Settings.model_fields.items():
        table.add_row(field.alias, str(getattr(values, name)), field.description or "")
    console.print(table)


@app.command("hash")
def hash_(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, help="Only what was available by then: ISO 8601, UTC unless it names a zone."),
    ] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Only this feature; may be given several times.")] = None,
) -> None:
    """Print one hash over all points as known today, or as of an instant: equal content, equal hash."""
    from feature_store.archive.content import content_hash
    from feature_store.catalog import load_catalog
    from feature_store.settings import load_settings

    if feature:
        catalog = load_catalog()
        feature = [catalog.feature(name).id for name in feature]
    typer.echo(content_hash(load_settings(), as_of, feature))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show clock, hosts that gave trouble, each series' progress and what is lost of it, each feature's latest point,
    and what was rejected."""
    from feature_store.catalog import load_catalog
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.status import read_status

    with connect() as conn:
        found = read_status(conn, load_catalog(), load_settings())
    if as_json:
        print_json(found)
        return
    for name, rows in found.items():
        if isinstance(rows, list):
            print_table(name, rows)
        else:
            console.print(f"{name}: {rows}")


@app.command()
def sql(
    command: Annotated[str | None, typer.Option("-c", help="One statement; without it, those on stdin.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print header and rows only, as CSV.")] = False,
    snapshot: Annotated[str | None, typer.Option(help="Ask a named snapshot of the history.")] = None,
) -> None:
    """Ask in DuckDB's SQL what the database and the archive hold: one statement with -c, or a conversation."""
    from feature_store.cli.shell import converse, run
    from feature_store.serving.shell import Shell
    from feature_store.settings import load_settings

    with Shell.open(load_settings(), snapshot) as shell:
        if command is not None:
            run(shell, command, sys.stdout, as_csv=csv)
        elif converse(shell, as_csv=csv) and not sys.stdin.isatty():
            raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database, which lacks what has retired; further arguments go to psql."""
    from feature_store.cli.shell import open_psql

    open_psql(context.args)


def main() -> None:
    """Run the command line; what is raised on purpose becomes a message and exit status 1."""
    try:
        app()
    except FeatureStoreError as error:
        tell(error)
        raise SystemExit(1) from None
