"""Living through days in minutes: the clock moves in steps, and each step does what the DAGs would have done."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import psycopg
from croniter import croniter

from feature_store import clock
from feature_store.archive import commit_history, export, retire
from feature_store.catalog import Catalog
from feature_store.catalog.contracts import RateLimit
from feature_store.errors import ReplayError
from feature_store.pipeline.streams import ingest_stream
from feature_store.pipeline.transform import transform
from feature_store.quality.agreement import assess_agreement
from feature_store.quality.periodic import check_source, sources_checked
from feature_store.quality.reconciliation import reconcile
from feature_store.quality.results import forget_results
from feature_store.settings import Settings
from feature_store.warehouse.loading import Counts
from feature_store.warehouse.news import has_news
from feature_store.warehouse.partitions import make_ahead

QUALITY_CRON = "17 * * * *"
HISTORY_CRON = "47 * * * *"
MAINTENANCE_CRON = "5 0 * * *"
UNHURRIED = RateLimit(per_minute=10**6)

Note = Callable[[datetime, int, int], None]
"""Told after every step: the instant, the number of the step, and how many there are."""


@dataclass
class Lived:
    """What living through the days came to."""

    steps: int = 0
    rows: Counts = field(default_factory=Counts)
    appended: int = 0
    blocked: int = 0
    files: int = 0
    failures: list[str] = field(default_factory=list)


def simulate(
    conn: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    instants: list[datetime],
    note: Note = lambda *_: None,
) -> Lived:
    """Set the clock to each instant (UTC, ascending) and do what was due: ingest, transform, check, export, maintain.

    The clock stays frozen at the last instant. A source that fails is named in `failures`, and life goes on. Budgets
    are not spent, since only the replay server is asked: raises ReplayError where the real sources would be, or where
    the clock would have to go back.
    """
    if settings.upstream != "replay":
        raise ReplayError("simulate asks the replay server alone: unset FEATURE_STORE_UPSTREAM=live")
    unhurried = without_budgets(catalog)
    lived = Lived()
    before: datetime | None = None
    for number, at in enumerate(instants, start=1):
        clock.freeze(conn, at)
        _live(conn, unhurried, settings, before, lived)
        before = at
        lived.steps = number
        note(at, number, len(instants))
    return lived


def steps(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """The instants from `start` to `end`, both included; raises ReplayError when there are none."""
    if end < start:
        raise ReplayError(f"--to {end.isoformat()} lies before --from {start.isoformat()}")
    whole = [start + number * step for number in range((end - start) // step + 1)]
    return whole if whole[-1] == end else [*whole, end]


def without_budgets(catalog: Catalog) -> Catalog:
    """The catalog without rate budgets to speak of."""
    sources = {key: source.model_copy(update={"rate_limit": UNHURRIED}) for key, source in catalog.sources.items()}
    return replace(catalog, sources=sources)


def _live(
    conn: psycopg.Connection, catalog: Catalog, settings: Settings, before: datetime | None, lived: Lived
) -> None:
    at = clock.now(conn)
    conn.commit()
    run_id = f"simulate {at.isoformat()}"
    has_any_news = False
    for source in catalog.connected_sources:
        if not _is_due(source.schedule, before, at):
            continue
        for stream in catalog.streams(source.slug):
            arrived = ingest_stream(conn, catalog, settings, (source.slug, stream), run_id=run_id)
            lived.rows += arrived.counts
            lived.failures += [f"{at.isoformat()} {error}" for error in arrived.failures.values()]
        has_any_news |= has_news(conn, source)
    conn.commit()
    if has_any_news:
        done = transform(conn, catalog, settings, run_id)
        lived.appended, lived.blocked = lived.appended + done.appended, done.blocked
    if _is_due((QUALITY_CRON,), before, at):
        reconcile(conn, run_id)
        assess_agreement(conn, catalog, run_id)
        for name in sources_checked(catalog):
            check_source(conn, settings, catalog, name, run_id, docs="never")
    if _is_due((settings.parquet_batch_cron,), before, at):
        lived.files += export(conn, settings).written
    if _is_due((HISTORY_CRON,), before, at):
        commit_history(conn, settings)
    if _is_due((MAINTENANCE_CRON,), before, at):
        make_ahead(conn, settings.pg_partition_days)
        retire(conn, settings, catalog)
        forget_results(conn)


def _is_due(crons: tuple[str, ...], before: datetime | None, at: datetime) -> bool:
    """Whether a schedule fires after `before` and up to `at`; at first everything is due."""
    return before is None or any(croniter(cron, before).get_next(datetime) <= at for cron in crons)
