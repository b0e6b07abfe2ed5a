"""`feature-store simulate`: live through days in minutes."""

from datetime import datetime, timedelta
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from feature_store.cli.options import instant, span


def simulate(
    end: Annotated[datetime, typer.Option("--to", parser=instant, help="Until when: ISO 8601, UTC.")],
    start: Annotated[
        datetime | None, typer.Option("--from", parser=instant, help="From when; the clock's now without it.")
    ] = None,
    step: Annotated[timedelta, typer.Option(parser=span, help="How far the clock moves at once: PT6H, P1D.")] = "PT6H",  # type: ignore[assignment]
) -> None:
    """Move the clock through days and do at each step what was due: ingest, transform, quality, export.

    The clock stays frozen at the end: `feature-store replay clock release` returns to real time. It cannot go behind
    what was ingested already, and asks the replay server alone. Example:

    feature-store simulate --from 2026-11-01 --to 2026-11-08 --step PT6H
    """
    from feature_store import clock
    from feature_store.catalog import load_catalog
    from feature_store.pipeline.simulate import simulate, steps
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    began = monotonic()
    with (
        connect() as conn,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bars,
    ):
        instants = steps(start or clock.now(conn), end, step)
        conn.commit()
        bar = bars.add_task("simulate", total=len(instants))
        lived = simulate(
            conn,
            load_catalog(),
            load_settings(),
            instants,
            lambda at, number, _: bars.update(bar, completed=number, description=f"{at:%Y-%m-%d %H:%M} UTC"),
        )
    typer.echo(
        f"{lived.steps} steps in {monotonic() - began:.0f} s; {lived.rows}; {lived.appended} versions appended, "
        f"{lived.blocked} candidates blocked, {lived.files} files exported"
    )
    for failure in lived.failures:
        typer.echo(f"failed: {failure}", err=True)
