"""All series of a stream: what a task of the DAGs `ingest_<slug>` and `backfill_<slug>` does."""

import logging
import re
from dataclasses import dataclass, field

import psycopg

from feature_store.catalog import Catalog
from feature_store.errors import FeatureStoreError, WarehouseError
from feature_store.settings import Settings
from feature_store.sources.contract import Window
from feature_store.warehouse.connection import explained
from feature_store.warehouse.ingest import ingest
from feature_store.warehouse.loading import Counts

logger = logging.getLogger(__name__)


@dataclass
class Arrived:
    """What became of the rows of a stream's series, and which series failed with what."""

    counts: Counts = field(default_factory=Counts)
    failures: dict[str, FeatureStoreError] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The failures, a line each: which series and why first, then the address that was asked, which is long."""
        return "\n".join(f"{name}: {_address_last(str(error))}" for name, error in self.failures.items())


def ingest_stream(
    conn: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    place: tuple[str, str],
    window: Window | None = None,
    run_id: str = "manual",
) -> Arrived:
    """Ingest every series of a stream, given as (slug, stream): the live tail, or a window of history.

    A series that fails keeps no other from arriving. Raises WarehouseError when the database has no room left or is
    away, which is the same for all of them.
    """
    arrived = Arrived()
    for series in catalog.series(*place):
        name = "/".join((*place, series.name))
        try:
            with explained(conn):
                counts = ingest(conn, catalog, settings, series, window, run_id)
        except WarehouseError:
            raise
        except FeatureStoreError as error:
            conn.rollback()
            logger.warning("%s: %s", name, error)
            arrived.failures[name] = error
        else:
            logger.info("%s: %s", name, counts)
            arrived.counts += counts
    return arrived


def _address_last(text: str) -> str:
    found = re.match(r"(https?://\S+?):? (?:answered )?(.*)", text, re.DOTALL)
    return f"{found[2]} (asked {found[1]})" if found else text
