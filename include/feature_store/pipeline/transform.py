"""The transform: what committed since the last one becomes candidates, is judged and published, in rounds.

The first round is of raw rows; its three steps are tasks of the DAG `transform_features`. What it published is news for
derived features: rounds of the same three steps follow until nothing is new, `derive`. `transform` does all in one go.
A round that dies is repeated by the next run, which reads the same rows again: the writer appends what is not held.
"""

import json
import logging
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import sql

from feature_store.catalog import Catalog
from feature_store.errors import WarehouseError
from feature_store.pipeline.formulas import check_formulas
from feature_store.pipeline.late import restore_for_candidates, restore_for_inputs
from feature_store.pipeline.models import fingerprint, project, run_dbt
from feature_store.quality.judge import judge
from feature_store.quality.results import Verdict
from feature_store.settings import Settings
from feature_store.warehouse.connection import alone
from feature_store.warehouse.news import inputs_have_news, panel_has_news, panel_is_empty, sweep_changed_days

log = logging.getLogger(__name__)

# Unit tests speak of the code, not of the data: `make test` runs them.
_BUILD = (
    "build",
    "--exclude-resource-type",
    "unit_test",
    "--exclude",
    *("features_versions", "features_values", "latest_values", "daily_cells"),
)
_TABLES = {
    "raw": ("--select", "points_with_news", "point_versions", "candidates"),
    "derived": ("--select", "candidates"),
}
_WORK = "transform"
"""One transform is in a step at a time: they share the table of candidates."""
_CONSUMERS = {"raw": "transform", "derived": "derived"}
_MANY = 10_000
"""From here on the planner must hear of new versions at once: the next round reads them."""

Layer = Literal["raw", "derived"]
"""What a round reads: raw rows, or the versions that earlier rounds published. Each is a consumer of its own."""


@dataclass(frozen=True)
class Published:
    """What the writer did with the candidates that passed."""

    appended: int
    duplicate: int
    """Candidates that say what is held already."""


@dataclass(frozen=True)
class Transformed:
    """What a transform did."""

    appended: int = 0
    duplicate: int = 0
    """Candidates that say what is held already."""
    blocked: int = 0
    """Candidates that are kept out, those of earlier runs that still fail included."""
    newly_blocked: int = 0
    resolved: int = 0
    """Rejects of earlier runs that no longer hold."""

    def then(self, later: "Transformed") -> "Transformed":
        """Both rounds together; what is blocked now is what the later one says."""
        return Transformed(
            self.appended + later.appended,
            self.duplicate + later.duplicate,
            later.blocked,
            self.newly_blocked + later.newly_blocked,
            self.resolved + later.resolved,
        )


def transform(
    conn: psycopg.Connection, catalog: Catalog, settings: Settings, run_id: str, full_refresh: bool = False
) -> Transformed:
    """Read what is new, or everything, and publish what passes; commits the open transaction of `conn`.

    Raises WarehouseError naming the model or test that failed, QualityError when the candidates cannot be trusted.
    """
    with alone(conn, _WORK):
        done = _round(conn, catalog, settings, run_id, "raw", full_refresh)
        return derive(conn, catalog, settings, run_id, full_refresh, done)


def derive(
    conn: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    run_id: str,
    full_refresh: bool = False,
    done: Transformed | None = None,
) -> Transformed:
    """Rounds of the derived layer until no input of a derived feature is new, and the panel; what came after `done`.

    Raises what `transform` does, and CatalogError when a formula changed without a higher version of its features.
    """
    done = done or Transformed()
    again = full_refresh
    with alone(conn, _WORK):
        while again or inputs_have_news(conn):
            check_formulas(conn, settings, catalog)
            restore_for_inputs(conn, settings, catalog, everything=again)
            done = done.then(_round(conn, catalog, settings, run_id, "derived", again))
            again = False
        if panel_has_news(conn) or full_refresh:
            # A store that is older than its panel shows the days before too.
            everything = full_refresh or panel_is_empty(conn)
            run_dbt(settings, "run", "--select", "daily_cells", *_flags(everything))
            conn.execute("select ops.close_window('panel')")
        sweep_changed_days(conn)
    return done


def _flags(full_refresh: bool) -> tuple[str, ...]:
    return ("--full-refresh",) if full_refresh else ()


def _round(
    conn: psycopg.Connection, catalog: Catalog, settings: Settings, run_id: str, layer: Layer, full_refresh: bool
) -> Transformed:
    build_candidates(conn, settings, run_id, layer, full_refresh)
    verdict = judge_candidates(conn, catalog, settings, run_id)
    published = publish(conn, settings, run_id, layer)
    return Transformed(
        published.appended, published.duplicate, verdict.blocked, verdict.newly_blocked, verdict.resolved
    )


def build_candidates(
    conn: psycopg.Connection, settings: Settings, run_id: str, layer: Layer = "raw", full_refresh: bool = False
) -> int:
    """Fix which rows this run reads and build `features.candidates` of them; returns how many there are.

    The views below it are made again only when the dbt project changed: they cost more than the rows of a minute, and
    making them waits for everybody who reads them.
    """
    with alone(conn, _WORK):
        mark = _mark(conn)
        conn.execute("select ops.open_window(%s)", (_CONSUMERS[layer],))
        conn.commit()
        views_stand = mark.get("project") == fingerprint() and _views_stand(conn, settings)
        scope = _TABLES[layer] if views_stand else ()
        run_dbt(settings, *_BUILD, *scope, *_flags(full_refresh), "--vars", f"{{layer: {layer}}}")
        _set_mark(conn, run_id, judged=False)
        return _count(conn)


def judge_candidates(conn: psycopg.Connection, catalog: Catalog, settings: Settings, run_id: str) -> Verdict:
    """Keep out what breaks a blocking rule; the rest may be published.

    Raises WarehouseError when the candidates are another run's, QualityError when they cannot be trusted.
    """
    with alone(conn, _WORK):
        _require(conn, run_id, judged=False)
        verdict = judge(conn, catalog, run_id, docs="due", home=settings.home)
        _set_mark(conn, run_id, judged=True)
        return verdict


def publish(conn: psycopg.Connection, settings: Settings, run_id: str, layer: Layer = "raw") -> Published:
    """Append the candidates, a long history a month at a time, and mark what this run read as done.

    Raises WarehouseError when the candidates are another run's or were not judged, or when the writer refused; and
    ArchiveError when S3 is away and some are of retired days: the others are published, and the next run tries again.
    """
    with alone(conn, _WORK):
        _require(conn, run_id, judged=True)
        away = restore_for_candidates(conn, settings)
        total = _count(conn)
        [result] = run_dbt(settings, "run", "--select", "features_versions")
        appended = int(result.adapter_response["rows_affected"])
        if appended > _MANY:
            conn.execute("analyze features.features_versions, ops.changed_days")
        if away is not None:
            conn.commit()
            raise away
        conn.execute("select ops.close_window(%s)", (_CONSUMERS[layer],))
        conn.commit()
    published = Published(appended, total - appended)
    log.info("%s", published)
    return published


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


# The last line of the comment on the table of candidates says of which project and run they are and whether they were
# judged. dbt makes the table anew each time, with its description alone, so a mark can never be about other rows.
def _mark(conn: psycopg.Connection) -> dict[str, str | bool]:
    return _comment(conn)[1]


def _set_mark(conn: psycopg.Connection, run_id: str, *, judged: bool) -> None:
    description, _ = _comment(conn)
    mark = json.dumps({"project": fingerprint(), "run": run_id, "judged": judged})
    comment = sql.Literal(f"{description}\n{mark}")
    conn.execute(sql.SQL("comment on table features.candidates is {}").format(comment))
    conn.commit()


def _comment(conn: psycopg.Connection) -> tuple[str, dict[str, str | bool]]:
    row = conn.execute("select obj_description(to_regclass('features.candidates'), 'pg_class')").fetchone()
    conn.commit()
    assert row is not None
    comment: str = row[0] or ""
    description, _, last = comment.rpartition("\n")
    return (description, json.loads(last)) if last.startswith("{") else (comment, {})


def _require(conn: psycopg.Connection, run_id: str, *, judged: bool) -> None:
    mark = _mark(conn)
    if mark.get("run") != run_id:
        raise WarehouseError(
            f"features.candidates is of {mark.get('run', 'no run')!r}, not of {run_id!r}: another transform came in "
            "between. Nothing is lost: run transform_features again"
        )
    if judged and not mark["judged"]:
        raise WarehouseError(f"the candidates of {run_id!r} were not judged, so none is published: judge them first")
