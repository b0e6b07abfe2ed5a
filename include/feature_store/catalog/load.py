"""Load the two catalog files, check them against each other, and answer questions about them."""

import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from feature_store.catalog.checks import check_catalog
from feature_store.catalog.contracts import (
    DERIVED_SOURCE,
    FeatureSpec,
    SeriesSpec,
    Source,
    SourceRef,
    TimeRules,
    normal_unit,
)
from feature_store.catalog.entries import read_entries
from feature_store.errors import CatalogError
from feature_store.settings import load_settings

SOURCES_FILE = "datasources.yaml"
FEATURES_FILE = "features.yaml"


@dataclass(frozen=True)
class Catalog:
    """All sources and features, checked. Features hold the implied `_sa` twins too, in the files' order."""

    sources: Mapping[str, Source]
    features: Mapping[str, FeatureSpec]

    def source(self, id_or_slug: str) -> Source:
        """A source by id (`binance-api`) or slug (`binance`); CatalogError naming the known ones."""
        for source in self.sources.values():
            if id_or_slug in (source.id, source.slug):
                return source
        known = [name for s in self.sources.values() for name in dict.fromkeys((s.id, s.slug))]
        raise CatalogError(_unknown("source", id_or_slug, known))

    def feature(self, feature_id: str) -> FeatureSpec:
        """A feature by its id; CatalogError naming the nearest ids."""
        if feature_id not in self.features:
            raise CatalogError(_unknown("feature", feature_id, self.features))
        return self.features[feature_id]

    def series(self, slug: str, stream: str) -> tuple[SeriesSpec, ...]:
        """The series to ask of a stream, those of features first; CatalogError for an unknown stream."""
        source = self.source(slug)
        if stream not in source.streams:
            raise CatalogError(_unknown(f"stream of {source.slug}", stream, source.streams))
        return self._series[source.slug, stream]

    def connected(self, slug: str) -> bool:
        """Whether a connector exists for the source, that is a module `feature_store.sources.<slug>`."""
        return importlib.util.find_spec(f"feature_store.sources.{self.source(slug).slug}") is not None

    @property
    def connected_sources(self) -> tuple[Source, ...]:
        """The sources that have a connector, in the catalog's order."""
        return tuple(source for source in self.sources.values() if self.connected(source.slug))

    @property
    def connected_streams(self) -> list[tuple[str, str]]:
        """(slug, stream) of all that a connector reads, in the catalog's order."""
        return [(source.slug, stream) for source in self.connected_sources for stream in self.streams(source.slug)]

    def streams(self, slug: str) -> list[str]:
        """The streams of a source that have series to ask for; CatalogError for an unknown source."""
        return [stream for stream in self.source(slug).streams if self.series(slug, stream)]

    def served_by(self, slug: str) -> tuple[FeatureSpec, ...]:
        """The features that a source's connector feeds; CatalogError for an unknown source."""
        source = self.source(slug)
        return tuple(feature for feature in self.features.values() if feature.source.id == source.id)

    @cached_property
    def _series(self) -> Mapping[tuple[str, str], tuple[SeriesSpec, ...]]:
        return {
            (source.slug, name): (*_of_features(source, name, self.features.values()), *_raw(source, name))
            for source in self.sources.values()
            for name in source.streams
        }


def load_catalog(folder: Path | None = None) -> Catalog:
    """Read and check the catalog in `folder` (default: the settings' `FEATURE_STORE_CATALOG_DIR`).

    Raises one CatalogError with all mistakes: file, entry, field, what was given and what is allowed.
    """
    folder = folder or load_settings().catalog_dir
    sources, source_errors = read_entries(folder / SOURCES_FILE, "sources", Source)
    features, feature_errors = read_entries(folder / FEATURES_FILE, "features", FeatureSpec)
    with_twins = [entry for feature in features for entry in _with_twin(feature)]
    errors = source_errors + feature_errors
    # Entries that did not parse are missing from the lists: cross-checks would only report what follows.
    errors = errors or check_catalog(sources, with_twins)
    if errors:
        raise CatalogError(f"the catalog in {folder} has {_count(errors)}:\n  " + "\n  ".join(errors))
    return Catalog(
        sources=MappingProxyType({source.id: source for source in sources}),
        features=MappingProxyType({feature.id: feature for feature in with_twins}),
    )


def _with_twin(feature: FeatureSpec) -> Iterable[FeatureSpec]:
    """The feature, and after it its seasonally adjusted twin when it is seasonal."""
    yield feature
    if feature.quality.seasonal:
        yield FeatureSpec(
            **{name: getattr(feature, name) for name in _TWIN_KEEPS},
            id=f"{feature.id}_sa",
            description=f"{feature.description.rstrip('.')}, seasonally adjusted.",
            tags=(*feature.tags, "seasonally-adjusted"),
            source=SourceRef.model_validate({"id": DERIVED_SOURCE, "class": "derived", "schema": "seasonal_factors"}),
            quality=feature.quality.model_copy(update={"seasonal": False}),
            inputs=(feature.id,),
            writers=("connector",),
        )


_TWIN_KEEPS = ("entity", "unit", "frequency", "ttl_ms", "version", "owner", "calendar", "label", "period")


def _of_features(source: Source, stream: str, features: Iterable[FeatureSpec]) -> list[SeriesSpec]:
    groups: dict[str, list[FeatureSpec]] = {}
    for feature in features:
        if feature.source.id == source.id and feature.stream == stream:
            groups.setdefault(str(feature.series), []).append(feature)
    return [_one_series(source.slug, stream, name, group) for name, group in groups.items()]


def _one_series(slug: str, stream: str, name: str, group: list[FeatureSpec]) -> SeriesSpec:
    units = dict.fromkeys(unit for feature in group for unit in feature.factors if unit is not None)
    return SeriesSpec(
        **dict(group[0].rules),
        name=name,
        source_slug=slug,
        stream=stream,
        units=tuple(units),
        feature_ids=tuple(feature.id for feature in group),
    )


def _raw(source: Source, stream: str) -> list[SeriesSpec]:
    return [
        SeriesSpec(
            **{key: getattr(rules, key) for key in TimeRules.model_fields},
            name=name,
            source_slug=source.slug,
            stream=stream,
            units=(normal_unit(rules.unit),),
            feature_ids=(),
        )
        for name, rules in source.streams[stream].series.items()
    ]


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(given, known, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown {what} {given!r}: {hint}"


def _count(errors: list[str]) -> str:
    return "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
