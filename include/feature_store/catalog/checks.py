"""What must hold between entries of the catalog. Every function returns one line for each mistake."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

from feature_store.catalog.contracts import (
    DERIVED_SOURCE,
    PUBLISH_SOURCE,
    PUBLISH_TABLE,
    FeatureSpec,
    Source,
    normal_unit,
)

_CURRENCIES = {
    "usd": "USD", "us dollar": "USD", "us dollars": "USD", "dollar": "USD", "dollars": "USD",
    "eur": "EUR", "euro": "EUR", "euros": "EUR",
}  # fmt: skip
_NUMBERS = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def check_catalog(sources: Sequence[Source], features: Sequence[FeatureSpec]) -> list[str]:
    """All mistakes between entries: file, entry, field, what was given, what is allowed."""
    by_id = {source.id: source for source in sources}
    by_feature = {feature.id: feature for feature in features}
    errors = [
        *_twice("datasources.yaml", "id", [source.id for source in sources]),
        *_twice("datasources.yaml", "slug", [source.slug for source in sources]),
        *_twice("features.yaml", "id", [feature.id for feature in features]),
        *_reserved(sources),
    ]
    for feature in features:
        if feature.is_connected:
            found = _connected(feature, by_id)
        else:
            found = _derived(feature, by_feature) if feature.is_derived else _published(feature)
        errors += [f"features.yaml: {feature.id}: {line}" for line in found]
    errors += _circles(features)
    return errors + list(_shared_series(features)) + list(_raw_series(sources, features))


def _twice(file: str, field: str, values: Iterable[str]) -> list[str]:
    return [f"{file}: {value}: field {field}: given {n} times" for value, n in Counter(values).items() if n > 1]


def _reserved(sources: Iterable[Source]) -> Iterator[str]:
    taken = {DERIVED_SOURCE, PUBLISH_SOURCE, PUBLISH_TABLE.partition("_")[0]}
    for source in sources:
        for field, name in (("id", source.id), ("slug", source.slug)):
            if name in taken:
                yield f"datasources.yaml: {source.id}: field {field}: {name!r} is this store's own name: choose another"


def _published(feature: FeatureSpec) -> Iterator[str]:
    if feature.source.schema_name != PUBLISH_TABLE:
        yield f"field source.schema: given {feature.source.schema_name!r}; it is the raw table, {PUBLISH_TABLE!r}"


def _connected(feature: FeatureSpec, sources: dict[str, Source]) -> Iterator[str]:
    source = sources.get(feature.source.id)
    if source is None:
        allowed = ", ".join([*sources, DERIVED_SOURCE, PUBLISH_SOURCE])
        yield f"field source.id: unknown source {feature.source.id!r}; allowed: {allowed}"
        return
    if feature.source.source_class != source.source_class:
        yield (
            f"field source.class: {feature.source.source_class!r} contradicts datasources.yaml, "
            f"where {source.id} is {source.source_class!r}"
        )
    if feature.stream not in source.streams:
        allowed = ", ".join(source.streams)
        yield f"field stream: {source.id} has no stream {feature.stream!r}; allowed: {allowed}"
    table = f"{source.slug}_{feature.stream}"
    if feature.source.schema_name != table:
        yield f"field source.schema: given {feature.source.schema_name!r}; it is the raw table, {table!r}"
    yield from _scales(feature)


def _scales(feature: FeatureSpec) -> Iterator[str]:
    """Where both units are amounts of money in words, the factor between them is known."""
    wanted = _money(feature.unit)
    if wanted is None or not isinstance(feature.scale, dict):
        return
    for stated_unit, factor in feature.scale.items():
        stated = _money(stated_unit)
        if stated is None:
            continue
        if stated[0] != wanted[0]:
            yield f"field scale: {stated_unit!r} is {stated[0]}; no factor makes it {feature.unit}, the feature's unit"
        elif factor != stated[1] / wanted[1]:
            yield (
                f"field scale: given {factor.normalize():f} for {stated_unit!r}; "
                f"to {feature.unit}, the feature's unit, it is {(stated[1] / wanted[1]).normalize():f}"
            )


def _money(unit: str) -> tuple[str, Decimal] | None:
    """Currency and size of a unit such as `Millions of U.S. Dollars` or `USD`; None for any other."""
    words = [word for word in normal_unit(unit).split() if word != "of"]
    sizes = [_NUMBERS[word.removesuffix("s")] for word in words if word.removesuffix("s") in _NUMBERS]
    currency = _CURRENCIES.get(" ".join(word for word in words if word.removesuffix("s") not in _NUMBERS))
    if currency is None or len(sizes) > 1:
        return None
    return currency, Decimal(sizes[0] if sizes else 1)


def _derived(feature: FeatureSpec, features: dict[str, FeatureSpec]) -> Iterator[str]:
    if feature.source.source_class != "derived":
        yield f"field source.class: given {feature.source.source_class!r}; a derived feature's is 'derived'"
    for name in feature.inputs:
        if name not in features:
            yield f"field inputs: there is no feature {name!r}"
        elif name == feature.id:
            yield "field inputs: a feature is no input of itself"
    units = {name: features[name].unit for name in feature.inputs if name in features}
    shared = set(units.values())
    if len(units) > 1 and shared != {feature.unit} and not (feature.unit == "ratio" and len(shared) == 1):
        given = ", ".join(f"{name} is in {unit}" for name, unit in units.items())
        yield f"field unit: given {feature.unit}; a feature of several inputs shares their unit, but {given}"


def _circles(features: Sequence[FeatureSpec]) -> Iterator[str]:
    try:
        TopologicalSorter({feature.id: feature.inputs for feature in features}).prepare()
    except CycleError as error:
        first, *others = error.args[1]
        if set(others) != {first}:  # an input of itself is told already
            yield f"features.yaml: {first}: field inputs: they lead back to itself, by {', '.join(others)}"


def _shared_series(features: Sequence[FeatureSpec]) -> Iterator[str]:
    """One raw row has one time: features on the same series cannot disagree about it."""

    def key(feature: FeatureSpec) -> tuple[str, str, str]:
        return feature.source.id, str(feature.stream), str(feature.series)

    connected = [feature for feature in features if feature.is_connected]
    for _, group in groupby(sorted(connected, key=key), key=key):
        first, *others = group
        for other in others:
            mine, theirs = first.rules.model_dump(), other.rules.model_dump()
            differing = ", ".join(name for name in mine if mine[name] != theirs[name])
            if differing:
                yield (
                    f"features.yaml: {other.id}: fields {differing}: differ from {first.id}, "
                    f"which is of the same series {first.series}; they must be the same"
                )


def _raw_series(sources: Sequence[Source], features: Sequence[FeatureSpec]) -> Iterator[str]:
    of_features = {(feature.source.id, feature.stream, feature.series): feature.id for feature in features}
    for source in sources:
        for stream_name, stream in source.streams.items():
            for name in stream.series:
                owner = of_features.get((source.id, stream_name, name))
                if owner is not None:
                    yield (
                        f"datasources.yaml: {source.id}: field streams.{stream_name}.series.{name}: "
                        f"{owner} in features.yaml already declares it; keep one of them"
                    )
