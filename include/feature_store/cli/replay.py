"""`feature-store replay`: serve a folder of histories as the upstream sources, or spoil the answers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, get_args

import httpx
import psycopg
import typer

from feature_store import clock
from feature_store.errors import ReplayError, SettingsError
from feature_store.replay.convert import Reading
from feature_store.replay.convert import convert as convert_table
from feature_store.replay.faults import Kind
from feature_store.replay.folder import parse_instant
from feature_store.replay.generate import generate as generate_folder
from feature_store.settings import load_settings

app = typer.Typer(help="The upstream sources, answered locally from a folder of histories.", no_args_is_help=True)
fault_app = typer.Typer(help="Let the running server answer as sources do on a bad day.", no_args_is_help=True)
clock_app = typer.Typer(help="The store's clock, by which the server answers.", no_args_is_help=True)
app.add_typer(fault_app, name="fault")
app.add_typer(clock_app, name="clock")

FolderOption = Annotated[Path | None, typer.Option(help="Folder of series [default: the settings' replay folder]")]


@app.command()
def serve(
    folder: FolderOption = None,
    port: Annotated[int | None, typer.Option(help="Port [default: the settings' port]")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; in a container 0.0.0.0")] = "127.0.0.1",
) -> None:
    """Answer as the upstream sources would at the clock's instant, until interrupted."""
    from feature_store.replay.server import serve as run

    run(folder, port, host)


@app.command()
def generate(
    folder: FolderOption = None,
    seed: Annotated[int, typer.Option(help="The same seed and start give the same histories")] = 7,
) -> None:
    """Write the default folder, or extend it up to the clock's now."""
    folder = folder or load_settings().home / "replay"
    generate_folder(folder, _clock_or_real(), seed)
    typer.echo(f"{folder}: {len(list(folder.glob('*/*/*.csv')))} series")


@app.command()
def convert(  # noqa: PLR0913 - one option per thing that can be told
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="CSV table, or .csv.gz")],
    to: Annotated[str, typer.Option(help="slug/stream/series, such as fred/observations/WALCL")],
    out: Annotated[Path, typer.Option(help="Replay folder to write into")],
    ts: Annotated[str | None, typer.Option(help="Column of the date or instant")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the value")] = None,
    available_at: Annotated[str | None, typer.Option(help="Column of the instant of publication")] = None,
    unit: Annotated[str, typer.Option(help="Unit the source states for all rows")] = "",
    factor: Annotated[str, typer.Option(help="Number to multiply every value with")] = "1",
) -> None:
    """Bring a table into the folder's shape; the usual column names are recognised."""
    try:
        reading = Reading(ts, value, available_at, unit, Decimal(factor))
    except InvalidOperation:
        raise ReplayError(f"--factor is {factor!r}; it must be a number such as 1000 or 0.001") from None
    done = convert_table(source, to, out, reading)
    typer.echo(
        f"{done.path}: {done.rows} rows, {done.revisions} of them revisions, "
        f"{done.scheduled} dated by the catalog's release rule"
    )


@fault_app.command("add")
def add_fault(  # noqa: PLR0913 - one option per field of a fault
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(get_args(Kind))}")],
    source: Annotated[str | None, typer.Option(help="Only this source, such as fred")] = None,
    path: Annotated[str | None, typer.Option(help="Only paths containing this")] = None,
    series: Annotated[str | None, typer.Option(help="Only requests for this series")] = None,
    count: Annotated[int, typer.Option(help="Requests to spoil; 0 spoils all until cleared")] = 1,
    status: Annotated[
        int | None, typer.Option(help="status: 400, 403, 404, 418, 429, 451, 500, 502, 503 or 504")
    ] = None,
    message: Annotated[str | None, typer.Option(help="status: the source's words")] = None,
    retry_after: Annotated[int | None, typer.Option(help="status: seconds; without it no such header")] = None,
    seconds: Annotated[float | None, typer.Option(help="timeout: how long to hold the answer back")] = None,
    field: Annotated[
        str | None, typer.Option(help="renamed, dropped, added, scaled: the JSON field, or the position in a row")
    ] = None,
    to: Annotated[str | None, typer.Option(help="renamed: the new name")] = None,
    factor: Annotated[str | None, typer.Option(help="scaled: number to multiply with")] = None,
    parameter: Annotated[str | None, typer.Option(help="ignored: the parameter that is overlooked")] = None,
) -> None:
    """Spoil the next matching answers of the running server."""
    given = dict(locals())
    given["count"] = count or None
    fault = {name: value for name, value in given.items() if value is not None or name == "count"}
    _show(_faults("POST", json=fault))


@fault_app.command("list")
def list_faults() -> None:
    """The faults that still wait for a request."""
    _show(_faults("GET"))


@fault_app.command("clear")
def clear_faults() -> None:
    """Forget all faults."""
    _show(_faults("DELETE"))


@clock_app.command("show")
def show_clock() -> None:
    """The clock's mode and instant."""
    with _connected() as conn:
        _tell(conn)


@clock_app.command("set")
def set_clock(
    instant: Annotated[str, typer.Argument(help="2024-06-01, or 2024-06-01T12:00:00Z")],
    running: Annotated[bool, typer.Option("--running", help="Run on from there instead of standing still")] = False,
) -> None:
    """Set the clock, which then stands still."""
    try:
        at = parse_instant(instant)
    except ValueError:
        raise ReplayError(f"{instant!r} is no instant: give 2024-06-01 or 2024-06-01T12:00:00Z") from None
    with _connected() as conn:
        (clock.set_running if running else clock.freeze)(conn, at)
        _tell(conn)


@clock_app.command("advance")
def advance_clock(
    days: Annotated[float, typer.Option(help="Days to move forward")] = 0,
    hours: Annotated[float, typer.Option(help="Hours to move forward")] = 0,
    minutes: Annotated[float, typer.Option(help="Minutes to move forward")] = 0,
) -> None:
    """Move the clock forward."""
    with _connected() as conn:
        clock.advance(conn, timedelta(days=days, hours=hours, minutes=minutes))
        _tell(conn)


@clock_app.command("release")
def release_clock() -> None:
    """Return to real time."""
    with _connected() as conn:
        clock.release(conn)
        _tell(conn)


def _tell(conn: psycopg.Connection) -> None:
    shown = clock.show(conn)
    typer.echo(f"{shown.now.isoformat().replace('+00:00', 'Z')} ({shown.mode})")


def _connected() -> psycopg.Connection:
    try:
        return psycopg.connect(load_settings().postgres_dsn, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise ReplayError(f"the clock is in the database, and that cannot be reached: {error}") from error


def _clock_or_real() -> datetime:
    """The folder is generated before there is a database too."""
    try:
        with _connected() as conn:
            return clock.now(conn)
    except (ReplayError, SettingsError, psycopg.Error):
        return datetime.now(UTC)


def _faults(method: str, json: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    url = f"{load_settings().replay_url}/_faults"
    try:
        answer = httpx.request(method, url, json=json, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise ReplayError(f"the replay server does not answer at {url}: {error}; is the stack up?") from error
    if answer.is_error:
        raise ReplayError(f"the replay server refused: {answer.text.strip()}")
    return list(answer.json())


def _show(faults: list[dict[str, Any]]) -> None:
    if not faults:
        typer.echo("no faults")
    for fault in faults:
        typer.echo("  ".join(f"{name}={value}" for name, value in fault.items()))
