"""`feature-store stack`: start, stop and describe the local services."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from feature_store.errors import FeatureStoreError
from feature_store.settings import load_settings
from feature_store.stack.processes import memory_bytes
from feature_store.stack.report import info as stack_info
from feature_store.stack.report import print_addresses, print_features
from feature_store.stack.services import Stack, exclusive, open_stack
from feature_store.stack.steps import Step, run_steps, screen_for
from feature_store.stack.supervision import Supervisor

app = typer.Typer(help="Start, stop and describe the local services.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Start what is not running, run the main job and print the features. Safe to repeat."""
    from feature_store.quality.data_docs import site
    from feature_store.stack.up import up_steps
    from feature_store.warehouse.dbt import docs_page

    console = _console()
    began = time.monotonic()
    try:
        with exclusive(load_settings().home.resolve()):
            stack = open_stack()
            run_steps(up_steps(stack), screen_for(console), stack.logs / "up.tracebacks.log")
            count = print_features(console, stack.settings.postgres_dsn)
            pages = {"Data Docs": site(stack.home) / "index.html", "dbt docs": docs_page(stack.settings)}
            print_addresses(console, stack_info(stack), pages)
    except FeatureStoreError as error:
        _failed(error)
        _leave(1)
    except KeyboardInterrupt:
        console.print("Interrupted. What was started runs on; `make up` continues, `make down` stops it.")
        _leave(130)
    console.print(f"{count} features, {time.monotonic() - began:.0f} s. `make down` stops it all and keeps the data.")


@app.command()
def prepare() -> None:
    """In containers: bring bucket, tables, catalog and dbt's manifest up to date before Airflow starts."""
    from feature_store.stack.containers import prepare_steps

    _run(prepare_steps)


@app.command()
def begin() -> None:
    """In containers: once Airflow runs, let the DAGs run, wait for the main job and print the features."""
    from feature_store.stack.containers import begin_steps

    stack = _run(begin_steps)
    print_features(_console(), stack.settings.postgres_dsn)


@app.command()
def down() -> None:
    """Stop every service of this stack; the data stays."""
    try:
        _stop()
    except FeatureStoreError as error:
        raise _failed(error) from None


@app.command()
def clean() -> None:
    """Stop every service of this stack and remove its state, data included."""
    home = load_settings().home.resolve()
    try:
        _stop()
    except FeatureStoreError as error:
        raise _failed(error) from None
    if home.exists() and not (home / "secrets.json").exists():
        Console(stderr=True).print(f"{home} holds no stack: nothing is removed", markup=False)
        raise typer.Exit(1)
    shutil.rmtree(home, ignore_errors=True)
    Console().print(f"{home} is removed", markup=False, highlight=False)


@app.command()
def status() -> None:
    """Show each service with its state, and what all of them hold in memory. Fails when nothing runs."""
    home = load_settings().home.resolve()
    states = Supervisor(home).states() if home.exists() else {}
    table = Table("service", "state", "log")
    for name, state in states.items():
        table.add_row(name, state.lower(), str(home / "logs" / f"{name}.log"))
    console = _console()
    if not states:
        console.print("Nothing runs. `make up` starts the stack.")
        raise typer.Exit(1)
    console.print(table)
    console.print(f"{memory_bytes(home) / 1024**2:.0f} MB in all")


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
    as_env: Annotated[bool, typer.Option("--env", help="The API's address and key, for a shell to eval.")] = False,
) -> None:
    """Print addresses and logins.

    eval "$(feature-store stack info --env)"
    """
    try:
        handles = stack_info(open_stack())
    except FeatureStoreError as error:
        raise _failed(error) from None
    if as_json:
        typer.echo(json.dumps(handles, indent=2))
    elif as_env:
        typer.echo(
            f"export FEATURE_STORE_API_URL={handles['api_url']} FEATURE_STORE_API_KEY={handles['api_key'] or ''}"
        )
    else:
        print_addresses(Console(), handles)


def _console() -> Console:
    """A log has no width: tables must not be cut to 80 columns there."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def _run(steps: Callable[[Stack], list[Step]]) -> Stack:
    try:
        stack = open_stack()
        with exclusive(stack.home):
            run_steps(steps(stack), screen_for(_console()), stack.logs / "up.tracebacks.log")
    except FeatureStoreError as error:
        _failed(error)
        _leave(1)
    return stack


def _stop() -> None:
    home = load_settings().home.resolve()
    if not home.exists():
        Console().print("Nothing runs: there is no state directory.")
        return
    with exclusive(home), Console().status("Stopping the services"):
        Supervisor(home).shutdown()
    Console().print("Stopped.")


def _leave(status: int) -> NoReturn:
    """End at once: other steps still run in threads, which the interpreter's own end would tear apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _failed(error: FeatureStoreError) -> typer.Exit:
    Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)
