"""What is left of `make up` where containers run the services: the steps before Airflow starts, and those after."""

from collections.abc import Sequence
from dataclasses import replace

from feature_store.stack.services import Stack
from feature_store.stack.steps import Note, Step
from feature_store.stack.up import up_steps

_ADVICE = "repair the cause and run `docker compose up` again: what is done already is not done twice"
_BEFORE_AIRFLOW = ("bucket", "migrate", "logins", "catalog", "key", "assets", "dbt")
_AFTER_AIRFLOW = ("dags", "walk", "ingest", "transform", "reconcile", "docs")


def prepare_steps(stack: Stack) -> list[Step]:
    """What must be there before Airflow starts: bucket, tables, catalog, dbt's manifest, the login of `admin`."""

    def login(note: Note) -> str:
        stack.airflow.folder.mkdir(parents=True, exist_ok=True)
        stack.airflow.write_login()
        return "in airflow/passwords.json of the state directory"

    return [*only_steps(_BEFORE_AIRFLOW, stack), Step("login", "Write Airflow's login", login, advice=_ADVICE)]


def begin_steps(stack: Stack) -> list[Step]:
    """What needs a running Airflow, on 127.0.0.1: pools, DAGs let loose, the main job and what follows from it."""
    return only_steps(_AFTER_AIRFLOW, stack)


def only_steps(names: Sequence[str], stack: Stack) -> list[Step]:
    """These steps of `make up`; what else they need, other containers have done."""
    return [
        replace(step, needs=tuple(need for need in step.needs if need in names), advice=_ADVICE)
        for step in up_steps(stack)
        if step.name in names
    ]
