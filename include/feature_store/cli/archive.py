"""`feature-store archive` and `snapshot`: the bucket and what goes into it."""

from datetime import date
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress

from feature_store.catalog import Catalog
from feature_store.cli.options import AsJson, day, print_json, print_table
from feature_store.settings import load_settings

app = typer.Typer(help="The bucket on S3 and what goes into it.", no_args_is_help=True)
snapshots = typer.Typer(help="Named snapshots of the history: the same answer next year.", no_args_is_help=True)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")]


@app.command()
def setup(
    dry_run: DryRun = False,
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
def history() -> None:
    """Append the versions that the history on S3 lacks, in one commit."""
    from feature_store.archive import commit_history
    from feature_store.warehouse.connection import connect

    with connect() as conn, Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("versions", total=None)
        done = commit_history(conn, load_settings(), lambda versions: bars.update(bar, completed=versions))
    typer.echo(f"{done} versions appended")


@app.command()
def retire(dry_run: DryRun = False) -> None:
    """Take days past FEATURE_STORE_RETENTION_DAYS out of the database, once the history was found to hold them."""
    from feature_store.archive import retire
    from feature_store.catalog import load_catalog
    from feature_store.warehouse.connection import connect

    console = Console(stderr=True)
    with connect() as conn, console.status("retiring") as status:
        done = retire(conn, load_settings(), load_catalog(), dry_run=dry_run, progress=status.update)
    if dry_run and done.days:
        typer.echo(f"would retire {len(done.days)} days, {done.days[0]} to {done.days[-1]}: {done.versions} versions")
    else:
        typer.echo("nothing to retire" if dry_run else done)
    for left, why in done.left.items():
        typer.echo(f"{left} stays: {why}", err=True)


@app.command()
def restore(
    feature: Annotated[list[str], typer.Option(help="The feature; may be given several times.")],
    since: Annotated[date, typer.Option("--from", parser=day, help="First UTC day, YYYY-MM-DD.")],
    until: Annotated[date, typer.Option("--to", parser=day, help="Last UTC day, YYYY-MM-DD.")],
) -> None:
    """Bring retired days back into the database; retention leaves them for as long as it leaves new ones."""
    from feature_store.archive.restore import restore_range

    typer.echo(f"{restore_range(load_settings(), feature, since, until)} versions restored")


@app.command()
def tidy() -> None:
    """Rewrite months of the history that are over, and remove files that nothing needs any more."""
    from feature_store.archive import tidy_history
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        typer.echo(tidy_history(conn, load_settings()))


@app.command()
def verify() -> None:
    """Read the whole archive again and compare it with what was noted; exit status 1 when something is wrong."""
    from feature_store.archive import verify
    from feature_store.warehouse.connection import connect

    with connect() as conn, Console(stderr=True).status("reading") as status:
        found = verify(conn, load_settings(), status.update)
    for problem in found.problems:
        typer.echo(problem, err=True)
    typer.echo(found)
    if found.problems:
        raise typer.Exit(1)


@snapshots.command()
def create(name: Annotated[str, typer.Argument(help="For example research-2026-11.")]) -> None:
    """Bring the history up to date and keep it, as it is now, under a name."""
    from feature_store.archive import commit_history, open_history
    from feature_store.warehouse.connection import connect

    settings = load_settings()
    with connect() as conn:
        commit_history(conn, settings)
    with open_history(settings) as history:
        named = history.name_snapshot(name)
    typer.echo(f"{named.name}: {named.versions} versions")


@snapshots.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the named snapshots, oldest first."""
    from dataclasses import asdict

    from feature_store.archive import open_history

    with open_history(load_settings()) as history:
        rows = [asdict(snapshot) for snapshot in history.snapshots()]
    if as_json:
        print_json(rows)
    else:
        print_table("snapshots", rows)


@snapshots.command()
def drop(name: str) -> None:
    """Forget a name; files that nothing else needs go some days later."""
    from feature_store.archive import open_history

    with open_history(load_settings()) as history:
        history.drop_snapshot(name)
    typer.echo(f"{name} is forgotten")


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
