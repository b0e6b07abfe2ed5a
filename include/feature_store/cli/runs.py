"""`feature-store run`: DAGs, now."""

import time
from typing import Annotated

import typer

from feature_store.errors import StackError


def run(
    dag_ids: Annotated[list[str], typer.Argument(metavar="DAG...", help="Such as ingest_fred or transform_features.")],
    wait: Annotated[bool, typer.Option(help="Wait for their ends, and fail when one fails.")] = True,
) -> None:
    """Start DAGs in Airflow now, one after the other.

    feature-store run ingest_fred transform_features
    """
    from feature_store.stack.services import open_stack

    stack = open_stack()
    client = stack.airflow_client
    unknown = set(dag_ids) - client.dags().keys()
    if unknown:
        known = ", ".join(sorted(client.dags()))
        raise StackError(f"there is no DAG {', '.join(sorted(unknown))}; there are: {known}")
    for dag_id in dag_ids:
        client.unpause(dag_id)
        started = client.trigger(dag_id)
        typer.echo(f"{dag_id}: {stack.airflow.url}/dags/{dag_id}/runs/{started.run_id}")
        while wait and not started.has_ended:
            time.sleep(1)
            started = client.run(dag_id, started.run_id)
        if wait and started.state != "success":
            raise StackError(f"{dag_id} failed: the page above has the log of the task that did")
