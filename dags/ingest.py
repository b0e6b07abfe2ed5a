"""DAGs made from the catalog: `ingest_<slug>`, the live tail of each connected source, and `backfill_<slug>`, by month,
where it answers for the past."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    Asset,
    CronDataIntervalTimetable,
    MultipleCronTriggerTimetable,
    TriggerRule,
    dag,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from feature_store.catalog import Source, load_catalog
from feature_store.settings import load_settings

catalog, settings = load_catalog(), load_settings()

TASK_DEFAULTS = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=30),
}

INTERVAL = ("data_interval_start", "data_interval_end")


def raw_asset(slug: str) -> Asset:
    """What a source's raw tables are called among assets; the transform waits for it."""
    return Asset(name=f"raw_{slug}", uri=f"feature-store://raw/{slug}", group="raw")


@task(map_index_template="{{ said }}")
def fetch_and_load(slug: str, stream: str, by_interval: bool = False) -> int:
    """Fetch the series of a stream, land the answers, load what is new; returns how many rows were added.

    A series that fails keeps no other from arriving. What cannot be mended by asking again fails at once.
    """
    from feature_store.errors import CircuitOpen, OutOfReach, Retriable, SourceDisabled
    from feature_store.pipeline.streams import ingest_stream
    from feature_store.sources.contract import Window
    from feature_store.warehouse.connection import connect

    context = get_current_context()
    context["said"] = stream  # type: ignore[typeddict-unknown-key]  # names the mapped task in the UI
    if by_interval and context.get(INTERVAL[0]) is None:
        raise AirflowFailException("this run has no month: start it with Trigger → Backfill and choose the months")
    # Airflow's instants are pendulum's, which plain timedeltas cannot divide.
    interval = [datetime.fromtimestamp(context[end].timestamp(), UTC) for end in INTERVAL] if by_interval else None
    window = Window(*interval) if interval else None
    with connect() as conn:
        arrived = ingest_stream(conn, catalog, settings, (slug, stream), window, context["run_id"])
    print(f"{slug}/{stream}: {arrived.counts}")  # noqa: T201 - the task's log
    failures = list(arrived.failures.values())
    if any(not isinstance(error, CircuitOpen | OutOfReach | SourceDisabled) for error in failures):
        may_pass = any(isinstance(error, Retriable) for error in failures)
        raise (AirflowException if may_pass else AirflowFailException)(arrived.said)
    if failures:
        until = [error.until for error in failures if isinstance(error, CircuitOpen)]
        if until:
            context["said"] = f"{stream}: not asked before {max(until):%H:%M} UTC"  # type: ignore[typeddict-unknown-key]
        raise AirflowSkipException(arrived.said)
    return arrived.counts.loaded


@task(trigger_rule=TriggerRule.ALL_DONE)
def announce(slug: str) -> None:
    """Tell the transform that there is something to read; skipped when it has read everything."""
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.news import has_news

    with connect() as conn:
        if not has_news(conn, catalog.source(slug)):
            raise AirflowSkipException("nothing new: every row was transformed already")


def wire(source: Source, *, by_interval: bool) -> None:
    """fetch_and_load for each stream that has series → announce, and the run's verdict."""
    loaded = (
        fetch_and_load.override(pool=f"source_{source.slug}")
        .partial(slug=source.slug, by_interval=by_interval)
        .expand(stream=catalog.streams(source.slug))
    )
    loaded >> announce.override(outlets=[raw_asset(source.slug)])(source.slug)
    # Fails with the run when a stream failed, though what arrived is passed on; the scheduler runs nothing for it.
    loaded >> EmptyOperator(task_id="every_stream_arrived", trigger_rule=TriggerRule.NONE_FAILED)


def notice(source: Source) -> str:
    """The first lines of a DAG's documentation where live mode cannot ask its source."""
    reason = settings.why_disabled(source.id, source.credentials)
    return f"**{reason}.** Until then its tasks are skipped; other sources are not affected.\n\n" if reason else ""


def live_tail(source: Source) -> DAG:
    """The live tail of a source: from the end of the last complete run to now; everything at first."""

    @dag(
        dag_id=f"ingest_{source.slug}",
        schedule=MultipleCronTriggerTimetable(*source.schedule, timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=TASK_DEFAULTS,
        tags=["ingest", source.source_class, source.slug],
        doc_md=f"""### {source.name}: live tail
{notice(source)}{source.description}

Each run reads again what became available shortly before the last complete run, lands every answer in
`raw.fetches` and adds what is new to `raw.{source.slug}_*`. Running it twice adds nothing.
A red stream failed (wrong key, unknown series, unreadable answer): its log says which series and why; the others went
on. A skipped one is left alone because its host asked for it: its name says until when, `feature-store status` why.
[Documentation of the source]({source.docs_url})""",
    )
    def pipeline() -> None:
        wire(source, by_interval=False)

    return pipeline()


def backfill(source: Source) -> DAG:
    """One run per month of history, for the backfill form of the UI."""

    @dag(
        dag_id=f"backfill_{source.slug}",
        schedule=CronDataIntervalTimetable("0 0 1 * *", timezone="UTC"),
        catchup=False,
        max_active_runs=2,
        default_args=TASK_DEFAULTS,
        tags=["backfill", source.source_class, source.slug],
        doc_md=f"""### {source.name}: backfill by month
{notice(source)}One run per month of history: of FRED the vintages of that month, of others the points of that month.
Use *Trigger → Backfill* and choose the months; the end date is exclusive. Reading a month twice adds nothing.

A month is loaded chunk by chunk, and each task's log says how far it is, as does `feature-store status` under
`windows`. A run that was killed goes on where its last whole chunk ended when its task is cleared or a new run asks for
the same month. Streams that answer only for now are skipped.""",
    )
    def pipeline() -> None:
        wire(source, by_interval=True)

    return pipeline()


for _source in catalog.connected_sources:
    live_tail(_source)
    if _source.has_history:
        backfill(_source)
