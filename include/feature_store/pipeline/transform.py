"""The transform: raw rows that committed since the last one become candidates, are judged and published.

Three steps, each a task of the DAG `transform_features`; `transform` does them in one go. A run that dies between
them is repeated by the next, which reads the same rows again: the writer appends only what is not held.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from feature_store.catalog import Catalog
from feature_store.errors import WarehouseError
from feature_store.pipeline.models import fingerprint, project, run_dbt
from feature_store.quality.judge import judge
from feature_store.quality.results import Verdict
from feature_store.settings import Settings

log = logging.getLogger(__name__)

# Unit tests speak of the code, not of the data: `make test` runs them.
_BUILD = ("build", "--exclude-resource-type", "unit_test", "--exclude", "features_versions+")
_TABLES = ("--select", "points_with_news", "candidates")


@dataclass(frozen=True)
class Published:
    """What the writer did with the candidates that passed."""

    appended: int
    duplicate: int
    """Candidates that say what is held already."""


@dataclass(frozen=True)
class Transformed:
    """What a transform did."""

    appended: int
    duplicate: int
    """Candidates that say what is held already."""
    blocked: int
    """Candidates that are kept out, those of earlier runs that still fail included."""
    newly_blocked: int
    resolved: int
    """Rejects of earlier runs that no longer hold."""


def transform(
    conn: psycopg.Connection, catalog: Catalog, settings: Settings, run_id: str, full_refresh: bool = False
) -> Transformed:
    """Read what is new, or everything, and publish what passes; commits the open transaction of `conn`.

    Raises WarehouseError naming the model or test that failed, QualityError when the candidates cannot be trusted.
    """
    with _alone(conn):
        build_candidates(conn, settings, run_id, full_refresh)
        verdict = judge_candidates(conn, catalog, settings, run_id)
        published = publish(conn, settings, run_id)
    return Transformed(
        published.appended, published.duplicate, verdict.blocked, verdict.newly_blocked, verdict.resolved
    )


def build_candidates(conn: psycopg.Connection, settings: Settings, run_id: str, full_refresh: bool = False) -> int:
    """Fix which raw rows this run reads and build `features.candidates` of them; returns how many there are.

    The views below it are made again only when the dbt project changed: they cost more than the rows of a minute, and
    making them waits for everybody who reads them.
    """
    with _alone(conn):
        mark = _mark(conn)
        conn.execute("select ops.open_window('transform')")
        conn.commit()
        views_stand = mark.get("project") == fingerprint() and not full_refresh and _views_stand(conn, settings)
        scope = _TABLES if views_stand else ("--full-refresh",) if full_refresh else ()
        run_dbt(settings, *_BUILD, *scope)
        _set_mark(conn, run_id, judged=False)
        return _count(conn)


def judge_candidates(conn: psycopg.Connection, catalog: Catalog, settings: Settings, run_id: str) -> Verdict:
    """Keep out what breaks a blocking rule; the rest may be published.

    Raises WarehouseError when the candidates are another run's, QualityError when they cannot be trusted.
    """
    with _alone(conn):
        _require(conn, run_id, judged=False)
        verdict = judge(conn, catalog, run_id, docs="due", home=settings.home)
        _set_mark(conn, run_id, judged=True)
        return verdict


def publish(conn: psycopg.Connection, settings: Settings, run_id: str) -> Published:
    """Append the candidates in one transaction and mark what this run read as done.

    Raises WarehouseError when the candidates are another run's or were not judged, or when the writer refused.
    """
    with _alone(conn):
        _require(conn, run_id, judged=True)
        total = _count(conn)
        [result] = run_dbt(settings, "run", "--select", "features_versions")
        appended = int(result.adapter_response["rows_affected"])
        conn.execute("select ops.close_window('transform')")
        conn.commit()
    published = Published(appended, total - appended)
    log.info("%s", published)
    return published


@contextmanager
def _alone(conn: psycopg.Connection) -> Iterator[None]:
    """Wait until no other transform is in a step: they share the table of candidates."""
    conn.execute("select pg_advisory_lock(hashtext('transform'))")
    conn.commit()
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext('transform'))")
            conn.commit()


def _count(conn: psycopg.Connection) -> int:
    row = conn.execute("select count(*) from features.candidates").fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])


def _views_stand(conn: psycopg.Connection, settings: Settings) -> bool:
    views = [
        (node.schema, node.alias) for node in project(settings).nodes.values() if node.config.materialized == "view"
    ]
    row = conn.execute(
        """select count(*) from pg_views
           where (schemaname, viewname) in (select * from unnest(%s::text[], %s::text[]))""",
        ([schema for schema, _ in views], [name for _, name in views]),
    ).fetchone()
    conn.commit()
    return row == (len(views),)


# The table of candidates carries, as its comment, of which project and run it is and whether it was judged. dbt makes
# the table anew each time, so a mark can never be about other rows.
def _mark(conn: psycopg.Connection) -> dict[str, str | bool]:
    row = conn.execute("select obj_description(to_regclass('features.candidates'), 'pg_class')").fetchone()
    conn.commit()
    mark: dict[str, str | bool] = json.loads(row[0]) if row and row[0] else {}
    return mark


def _set_mark(conn: psycopg.Connection, run_id: str, *, judged: bool) -> None:
    mark = json.dumps({"project": fingerprint(), "run": run_id, "judged": judged})
    conn.execute(sql.SQL("comment on table features.candidates is {}").format(sql.Literal(mark)))
    conn.commit()


def _require(conn: psycopg.Connection, run_id: str, *, judged: bool) -> None:
    mark = _mark(conn)
    if mark.get("run") != run_id:
        raise WarehouseError(
            f"features.candidates is of {mark.get('run', 'no run')!r}, not of {run_id!r}: another transform came in "
            "between. Nothing is lost: run transform_features again"
        )
    if judged and not mark["judged"]:
        raise WarehouseError(f"the candidates of {run_id!r} were not judged, so none is published: judge them first")
