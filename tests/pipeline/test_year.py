"""A year of all sources, lived through in weeks."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_store.archive import set_up
from feature_store.pipeline.simulate import simulate, steps
from feature_store.pipeline.transform import transform
from feature_store.replay.generate import generate
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import ingest
from tests.archive.store import Server

from .store import Store

START, END = datetime(2025, 11, 21, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def year(store: Store, s3: Server) -> Store:
    """A store over histories that began a year before START, and minutes that begin there."""
    lived = END - START
    generate(store.folder, END, back=lived + timedelta(days=400), minutes_back=lived + timedelta(days=1))
    store.settings = store.settings.model_copy(update={"home": s3.s3.home, "port_s3": s3.s3.port})
    set_up(store.settings)
    return store


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_year_of_every_source_is_lived_through_and_loading_it_again_writes_nothing(year: Store) -> None:
    lived = simulate(year.conn, year.catalog, year.settings, steps(START, END, timedelta(days=7)))
    assert (lived.failures, lived.blocked) == ([], 0)
    assert year.count("raw.binance_klines_1m") > 364 * 1440 * 2
    assert year.row("select count(distinct feature_id) from features.features_values") == (len(year.catalog.features),)
    assert year.count("ops.gaps") == 0, "a week is within the reach of every source"

    for source in year.catalog.connected_sources:
        for stream in year.catalog.streams(source.slug):
            if source.streams[stream].history == "none":
                continue
            for series in year.catalog.series(source.slug, stream):
                again = ingest(year.conn, year.catalog, year.settings, series, Window(START, year.now()))
                assert (again.loaded, again.rejected) == (0, 0), series
                assert again.fetched > 0, series
    assert transform(year.conn, year.catalog, year.settings, "again").appended == 0
