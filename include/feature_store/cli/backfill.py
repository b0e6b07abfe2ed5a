"""`feature-store backfill`: months of history through Airflow, as its backfill form does."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from feature_store.errors import QueryError, StackError

if TYPE_CHECKING:
    from feature_store.catalog import Source
    from feature_store.stack.airflow_client import AirflowClient


def slugs(incomplete: str) -> list[str]:
    """The sources with history whose slug begins so: what a shell completes."""
    from feature_store.catalog import load_catalog

    return [
        source.slug
        for source in load_catalog().connected_sources
        if source.has_history and source.slug.startswith(incomplete)
    ]


def month(text: str) -> date:
    """A month such as 2024-01, or a day of it; typer.BadParameter otherwise."""
    try:
        return date.fromisoformat(text if len(text) > 7 else f"{text}-01").replace(day=1)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no month such as 2024-01") from None


def backfill(
    source: Annotated[str, typer.Argument(autocompletion=slugs, help="Slug or id of the source, such as fred.")],
    since: Annotated[date, typer.Option("--from", parser=month, help="First month, such as 2024-01.")],
    until: Annotated[date, typer.Option("--to", parser=month, help="Last month, such as 2024-03.")],
    wait: Annotated[bool, typer.Option(help="Wait for its end, and fail when a month fails.")] = True,
) -> None:
    """Load months of history through Airflow, one run a month. Reading a month twice adds nothing.

    feature-store backfill fred --from 2024-01 --to 2024-03
    """
    from feature_store.stack.services import open_stack

    chosen = _source(source)
    if until < since:
        raise QueryError(f"--to {until:%Y-%m} lies before --from {since:%Y-%m}")
    stack = open_stack()
    client = stack.airflow_client
    dag_id = f"backfill_{chosen.slug}"
    client.unpause(dag_id)
    months = (_start(since), _start(until) + timedelta(days=1))
    number = client.backfill(dag_id, *months)
    typer.echo(f"{dag_id} {since:%Y-%m} to {until:%Y-%m}: {stack.airflow.url}/dags/{dag_id}/runs")
    if wait:
        _wait(client, dag_id, number, months)


def _source(name: str) -> "Source":
    from feature_store.catalog import load_catalog

    sources = load_catalog().sources.values()
    chosen = next((source for source in sources if name in (source.slug, source.id)), None)
    if chosen is None or not chosen.has_history:
        known = ", ".join(slugs(""))
        why = "is no source" if chosen is None else "answers only for now, and has no history to load"
        raise QueryError(f"{name!r} {why}; there is history of {known}")
    return chosen


def _start(of: date) -> datetime:
    return datetime(of.year, of.month, 1, tzinfo=UTC)


def _wait(client: "AirflowClient", dag_id: str, number: int, months: tuple[datetime, datetime]) -> None:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        bar = bars.add_task(dag_id, total=None)
        while not client.backfill_has_ended(number):
            runs = client.runs_between(dag_id, *months)
            bars.update(bar, completed=sum(run.has_ended for run in runs), total=len(runs) or None)
            time.sleep(1)
    runs = client.runs_between(dag_id, *months)
    failed = [run.run_id for run in runs if run.state != "success"]
    typer.echo(f"{len(runs) - len(failed)} of {len(runs)} months loaded")
    if failed:
        raise StackError(f"these runs failed: {', '.join(failed)}. The logs of their tasks in Airflow say why")
