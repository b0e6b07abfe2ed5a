"""A whole store for a test: replay over HTTP, a database with a clock of its own, ingest and dbt in process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from feature_store import clock
from feature_store.archive.content import content_hash
from feature_store.catalog import Catalog, FeatureSpec, load_catalog
from feature_store.catalog.sync import sync
from feature_store.pipeline.models import run_dbt
from feature_store.pipeline.simulate import without_budgets
from feature_store.quality.data_docs import site
from feature_store.quality.rules import CANDIDATES
from feature_store.replay.schedule import CatalogSchedule
from feature_store.settings import Settings
from feature_store.sources.budget import limiter, pool
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import ingest
from feature_store.warehouse.loading import Counts
from feature_store.warehouse.news import inputs_have_news
from tests.faults import add_fault, clear_faults
from tests.replay.server import serving

WALCL, TGA, RRP = "macro/us/walcl_total_usd", "macro/us/tga_balance_usd", "macro/us/rrp_total_usd"
Version = tuple[str, float | None, str]


class Store:
    """One database and one folder of series, at a clock that the test turns."""

    def __init__(self, dsn: str, folder: Path, catalog: Catalog, replay_url: str, home: Path) -> None:
        self.catalog = catalog
        self.folder = folder
        self.replay_url = replay_url
        self.conn = psycopg.connect(dsn, options="-c timezone=UTC")
        self.derives = False
        """Whether `transform` goes on to derived features and the panel: most tests are not about them."""
        self.settings = Settings(
            FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_REPLAY_URL=replay_url, FEATURE_STORE_HOME=home
        )
        if catalog is not shipped():
            sync(self.conn, catalog)
            self.conn.commit()

    def at(self, instant: str | datetime) -> None:
        """Freeze the clock."""
        moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        clock.freeze(self.conn, moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    def serve(self, series: str, text: str) -> None:
        """Put a series into the folder that replay serves."""
        path = self.folder / "fred" / "observations" / f"{series}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fault(self, **fault: object) -> None:
        """Spoil the next matching answers."""
        add_fault(self.replay_url, **fault)

    def clear_faults(self) -> None:
        """Answer as it should be again."""
        clear_faults(self.replay_url)

    def ingest(self, *names: str, window: Window | None = None) -> Counts:
        """The live tail, or a window, of the named series (default: all that are served)."""
        total = Counts()
        for series in self.catalog.series("fred", "observations"):
            served = (self.folder / "fred" / "observations" / f"{series.name}.csv").exists()
            if series.name in names or (not names and served):
                total += ingest(self.conn, self.catalog, self.settings, series, window, run_id="test")
        return total

    def transform(self, *flags: str) -> int:
        """Build the candidates and publish them; returns how many versions were appended.

        Unjudged: most tests use numbers that no range of the catalog would let pass.
        """
        appended = self._publish("transform", "raw", "points_with_news", "point_versions", *flags)
        return appended + self._derive(*flags) if self.derives else appended

    def _derive(self, *flags: str) -> int:
        appended, again = 0, "--full-refresh" in flags
        while again or inputs_have_news(self.conn):
            appended += self._publish("derived", "derived", *(flags if again else ()))
            again = False
        self.conn.execute("select ops.open_window('panel')")
        self.conn.commit()
        run_dbt(self.settings, "run", "--select", "daily_cells", *flags)
        self.conn.execute("select ops.close_window('panel')")
        self.conn.commit()
        return appended

    def _publish(self, consumer: str, layer: str, *selected: str) -> int:
        self.conn.execute("select ops.open_window(%s)", (consumer,))
        self.conn.commit()
        models = ("--select", "candidates", "features_versions", *selected, "--vars", f"{{layer: {layer}}}")
        *_, published = run_dbt(self.settings, "run", *models)
        self.conn.execute("select ops.close_window(%s)", (consumer,))
        self.conn.commit()
        return int(published.adapter_response["rows_affected"])

    def run(self) -> int:
        """Ingest and transform; returns how many versions were appended."""
        self.ingest()
        return self.transform()

    def count(self, table: str) -> int:
        row = self.conn.execute(f"select count(*) from {table}").fetchone()  # type: ignore[arg-type]
        assert row is not None
        return int(row[0])

    def row(self, query: str, *arguments: object) -> tuple[Any, ...]:
        """The one row of a query."""
        [row] = self.conn.execute(query.encode(), arguments).fetchall()
        return row

    def versions(self, feature: str = WALCL) -> list[Version]:
        """(ts as a date, value, available_at) of every version, in order."""
        rows = self.conn.execute(
            """select ts::date::text, value, to_char(available_at, 'YYYY-MM-DD"T"HH24:MI') from
                 features.features_versions where feature_id = %s order by ts, available_at, ingested_at""",
            (feature,),
        )
        return [(ts, value, at) for ts, value, at in rows]

    def now(self) -> datetime:
        """Where the clock stands."""
        now = clock.now(self.conn)
        self.conn.commit()
        return now

    def versions_with_times(self, feature: str) -> list[tuple[datetime, float | None, datetime, str, datetime]]:
        """(ts, value, available_at, available_basis, ingested_at) of every version, in order."""
        return self.conn.execute(
            """select ts, value, available_at, available_basis, ingested_at from features.features_versions
               where feature_id = %s order by ts, available_at, ingested_at""",
            (feature,),
        ).fetchall()

    def state(self, feature: str, known: datetime | None = None, stored: datetime | None = None) -> list[float | None]:
        """The values of state (known, stored), by ts; None is without bound."""
        rows = self.conn.execute(
            """select value from features.as_of(%s::timestamptz, %s::timestamptz)
               where feature_id = %s order by ts""",
            (known or "infinity", stored or "infinity", feature),
        )
        return [value for (value,) in rows]

    def values(self, feature: str = WALCL) -> dict[str, float]:
        """Value by ts (a date), as known today."""
        return dict(
            self.conn.execute(
                "select ts::date::text, value from features.features_values where feature_id = %s order by ts",
                (feature,),
            ).fetchall()
        )

    def as_of(self, instant: str, feature: str = WALCL) -> dict[str, float]:
        """Value by ts (a date), as known at an instant; withdrawn points are left out."""
        return dict(
            self.conn.execute(
                """select ts::date::text, value from features.as_of(%s)
                   where feature_id = %s and value is not null order by ts""",
                (instant, feature),
            ).fetchall()
        )

    def forget(self) -> None:
        """Empty the store, as if it had never run; the clock stays where it is."""
        raw = [name for (name,) in self.conn.execute("select tablename from pg_tables where schemaname = 'raw'")]
        tables = ", ".join(f"raw.{name}" for name in raw)
        self.conn.execute(
            f"""truncate {tables}, ops.stream_progress, ops.watermarks, ops.changed_days, ops.feature_writes,
                 ops.dirty_days, features.features_versions, features.features_values, features.latest_values,
                 features.daily_cells cascade""".encode()
        )
        self.conn.commit()

    def hash(self) -> str:
        """One hash over all that is known; commits."""
        self.conn.commit()
        return content_hash(self.settings)


@contextmanager
def open_store(dsn: str, home: Path, catalog: Catalog) -> Iterator[Store]:
    """A store over an empty folder; the clock of the database is the clock of replay."""
    folder = home / "series"
    folder.mkdir(parents=True, exist_ok=True)
    _skip_pages(home)
    with (
        psycopg.connect(dsn, autocommit=True) as watch,
        serving(folder, lambda: clock.now(watch), CatalogSchedule(catalog)) as url,
    ):
        store = Store(dsn, folder, catalog, url, home)
        try:
            yield store
        finally:
            store.conn.close()
            pool(dsn).close()
            for cached in (limiter, pool):  # what they know is of a database whose name the next store's has too
                cached.cache_clear()


def _skip_pages(home: Path) -> None:
    """Let no judgement fetch assets from the npm registry, nor make pages unless it keeps rows out."""
    assets, pages = home / "quality" / "assets", site(home) / "validations" / CANDIDATES
    assets.mkdir(parents=True)
    (assets / "failed").touch()
    pages.mkdir(parents=True)


@cache
def shipped() -> Catalog:
    """The shipped catalog without a rate limit to speak of: budgets have tests of their own."""
    return without_budgets(load_catalog())


def with_features(features: Iterable[FeatureSpec]) -> Catalog:
    """The shipped sources with other features."""
    return replace(shipped(), features={feature.id: feature for feature in features})
