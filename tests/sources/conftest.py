"""Answers of every stream as replay gives them, whose shapes are held against recordings in tests/replay."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from feature_store.catalog import Catalog, load_catalog
from feature_store.replay.generate import generate
from feature_store.sources.budget import unlimited
from feature_store.sources.contract import Window
from feature_store.sources.http import Host, Http
from feature_store.warehouse.ingest import connector_of
from tests.replay.server import KEY, serving

from .recorded import CASES, Recorded
from .shapes import Shape, shrunk

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
LATELY = Window(NOW - timedelta(days=30), NOW)
ANSWERS_OF_A_SERIES = 4


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The shipped catalog."""
    return load_catalog()


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default folder as of NOW."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, NOW)
    return folder


@pytest.fixture(scope="session")
def shapes(catalog: Catalog, generated: Path) -> list[Shape]:
    """The first answers of each connected stream, cut to a few rows, and what the parser reads in them."""
    with serving(generated, lambda: NOW) as url:
        return list(_shapes(catalog, url))


@pytest.fixture(scope="session")
def recorded_shapes(catalog: Catalog) -> list[Shape]:
    """Recorded answers in which there is something to read, cut to a few rows."""
    return [_recorded(catalog, recorded) for recorded, made in CASES if re.match("[1-9]", made)]


def _recorded(catalog: Catalog, recorded: Recorded) -> Shape:
    slug, _, stream = recorded.stream.partition("/")
    series = catalog.series(slug, stream)[0].model_copy(update={"units": ()})  # they state others than ours
    zone = catalog.source(slug).streams[stream].zone or "UTC"
    return shrunk(Shape(slug, stream, series, zone, recorded.parse, recorded.payload()))


def _shapes(catalog: Catalog, url: str) -> Iterator[Shape]:
    for source in catalog.connected_sources:
        connector = connector_of(catalog, source.slug)
        secrets, root = dict.fromkeys(connector.SECRET_PARAMS, KEY), f"{url}/{source.slug}"
        hosts = {name: Host(f"{root}/{name}") for name in source.hosts}
        for stream in catalog.streams(source.slug):
            series = catalog.series(source.slug, stream)[0]
            with Http(root, unlimited(), secrets, lambda: NOW, hosts=hosts) as http:
                for payload in islice(connector.fetch(http, series, LATELY), ANSWERS_OF_A_SERIES):
                    zone = source.streams[stream].zone or "UTC"
                    yield shrunk(Shape(source.slug, stream, series, zone, connector.parse, payload))
