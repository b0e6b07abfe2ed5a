"""What the replay needs to know from the catalog: when a value is released, and in which unit."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Protocol

from feature_store.catalog import Catalog, SeriesSpec, load_catalog
from feature_store.catalog.release import release_at
from feature_store.errors import CatalogError

PARTS_OF = {("farside", "btc"): "Total", ("farside", "eth"): "Total"}
"""Streams whose files are parts of one series: its release rule is theirs."""


class Schedule(Protocol):
    """Answers about one series; `None` means that the catalog does not know it."""

    def releases(self, slug: str, stream: str, series: str, ts: Sequence[datetime]) -> list[datetime] | None:
        """The release rule's instant of every `ts`."""

    def unit(self, slug: str, stream: str, series: str) -> str | None:
        """The unit the source states today."""

    def calendar(self, slug: str, stream: str, series: str) -> str | None:
        """The calendar on whose sessions there are values."""


class CatalogSchedule:
    """The catalog's release rules and units; the catalog is read at the first question."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._given = catalog

    def releases(self, slug: str, stream: str, series: str, ts: Sequence[datetime]) -> list[datetime] | None:
        """The release rule's instant of every `ts`."""
        spec = self.spec(slug, stream, series)
        return None if spec is None else release_at(spec, ts)

    def unit(self, slug: str, stream: str, series: str) -> str | None:
        """The last unit of the feature's scale, or the raw series' declared one."""
        spec = self.spec(slug, stream, series)
        if spec is None:
            return None
        for feature_id in spec.feature_ids:
            scale = self._catalog.feature(feature_id).scale
            if isinstance(scale, dict):
                return list(scale)[-1]
        declared = self._catalog.source(slug).streams[stream].series.get(series)
        return declared.unit if declared else None

    def calendar(self, slug: str, stream: str, series: str) -> str | None:
        """The calendar on whose sessions there are values."""
        spec = self.spec(slug, stream, series)
        return spec.calendar if spec else None

    def spec(self, slug: str, stream: str, series: str) -> SeriesSpec | None:
        """The series as the catalog has it."""
        try:
            known = self._catalog.series(slug, stream)
        except CatalogError:  # a source or stream of one's own
            return None
        name = PARTS_OF.get((slug, stream), series)
        return next((spec for spec in known if spec.name == name), None)

    @cached_property
    def _catalog(self) -> Catalog:
        return self._given or load_catalog()
