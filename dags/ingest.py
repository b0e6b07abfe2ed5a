"""Two DAGs per connected source, made from the catalog: `ingest_<slug>`, the live tail, and `backfill_<slug>`."""

from datetime import timedelta

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
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from feature_store.catalog import Source, load_catalog

catalog = load_catalog()

TASK_DEFAULTS = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=30),
}


def raw_asset(slug: str) -> Asset:
    """What a source's raw tables are called among assets; the transform waits for it."""
    return Asset(name=f"raw_{slug}", uri=f"feature-store://raw/{slug}", group="raw")


def series_of(source: Source) -> list[dict[str, str]]:
    """Every series of a source, as the mapped tasks take them."""
    return [
        {"stream": stream, "series": series.name}
        for stream in source.streams
        for series in catalog.series(source.slug, stream)
    ]


@task(map_index_template="{{ series }}")
def fetch_and_load(slug: str, stream: str, series: str, by_interval: bool = False) -> int:
    """Fetch one series, land the answers, load what is new; returns how many rows were added."""
    from feature_store.errors import Malformed, Refused
    from feature_store.settings import load_settings
    from feature_store.sources.contract import Window
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.ingest import ingest

    context = get_current_context()
    context["series"] = series  # type: ignore[typeddict-unknown-key]  # names the mapped task in the UI
    window = Window(context["data_interval_start"], context["data_interval_end"]) if by_interval else None
    spec = next(s for s in catalog.series(slug, stream) if s.name == series)
    with connect() as conn:
        try:
            counts = ingest(conn, catalog, load_settings(), spec, window, run_id=context["run_id"])
        except (Refused, Malformed) as error:
            raise AirflowFailException(f"{slug}/{stream}/{series}: {error}") from error
    print(f"{slug}/{stream}/{series}: {counts}")  # noqa: T201 - the task's log
    return counts.loaded


@task(trigger_rule=TriggerRule.ALL_DONE)
def announce(slug: str) -> None:
    """Tell the transform that there is something to read; skipped when it has read everything."""
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.news import has_news

    with connect() as conn:
        if not has_news(conn, catalog.source(slug)):
            raise AirflowSkipException("nothing new: every row was transformed already")


@task
def every_series_arrived(loaded: list[int]) -> None:
    """Fails with the run when a series failed, though what arrived is passed on."""
    print(f"{sum(loaded)} rows added")  # noqa: T201 - the task's log


def wire(source: Source, *, by_interval: bool) -> None:
    """fetch_and_load for each series → announce, and the run's verdict."""
    loaded = (
        fetch_and_load.override(pool=f"source_{source.slug}")
        .partial(slug=source.slug, by_interval=by_interval)
        .expand_kwargs(series_of(source))
    )
    loaded >> announce.override(outlets=[raw_asset(source.slug)])(source.slug)
    every_series_arrived(loaded)


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
{source.description}

Each run reads again what became available shortly before the last complete run, lands every answer in
`raw.fetches` and adds what is new to `raw.{source.slug}_*`. Running it twice adds nothing.
A red series failed for good (wrong key, unknown series, unreadable answer): its task says why; the others went on.
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
One run per month: it reads what **became available** in that month (for FRED: the vintages of the month).
Use *Trigger → Backfill* and choose the months; the end date is exclusive. Reading a month twice adds nothing.""",
    )
    def pipeline() -> None:
        wire(source, by_interval=True)

    return pipeline()


for _source in catalog.sources.values():
    if catalog.connected(_source.slug):
        live_tail(_source)
        backfill(_source)
