"""The data dictionary, `docs/data-dictionary.md`: what each feature is, in words, made from the catalog."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from feature_store.catalog.contracts import AfterRule, FeatureSpec, Source, Tail
from feature_store.catalog.load import Catalog
from feature_store.settings import ROOT

PATH = ROOT / "docs" / "data-dictionary.md"

_HEAD = """\
# Data dictionary

Every feature and source of the catalog, in words. Made by `feature-store catalog dictionary --write` from
`include/catalog/`, which is the truth. Times are UTC unless a zone is named; the words are those of
[docs/glossary.md](glossary.md).
"""


def render(catalog: Catalog) -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *_overview(catalog), *_features(catalog), *_sources(catalog)])


def write(catalog: Catalog, path: Path = PATH) -> list[Path]:
    """Write the page where it differs from the catalog; returns what was written."""
    stale = drifted(catalog, path)
    for page in stale:
        page.write_text(render(catalog), encoding="utf-8")
    return stale


def drifted(catalog: Catalog, path: Path = PATH) -> list[Path]:
    """The page, if it is absent or does not say what the catalog says."""
    return [] if path.exists() and path.read_text(encoding="utf-8") == render(catalog) else [path]


def _overview(catalog: Catalog) -> Iterator[str]:
    yield "| feature | unit | frequency | source |\n|---|---|---|---|"
    for feature in catalog.features.values():
        yield f"| [{feature.id}](#{_anchor(feature.id)}) | {feature.unit} | {feature.frequency} | {_origin(feature)} |"
    yield ""


def _features(catalog: Catalog) -> Iterator[str]:
    yield "## Features\n"
    for feature in catalog.features.values():
        yield f"### {feature.id}\n\n{feature.description}\n"
        for name, value in _facts(catalog, feature):
            yield f"- {name}: {value}"
        yield ""


def _facts(catalog: Catalog, feature: FeatureSpec) -> Iterator[tuple[str, str]]:
    yield "unit", feature.unit
    yield "`ts`", _label(feature)
    yield "expected", f"{feature.frequency}, calendar {feature.calendar}"
    yield "from", _provenance(catalog, feature)
    if feature.release is not None:
        yield "available", _release(feature)
        yield "changes afterwards", _changes(feature)
    yield "stale", f"when older than {timedelta(milliseconds=feature.ttl_ms)}, closed time left out"
    yield "plausible", _plausible(feature)
    yield (
        "written by",
        " and ".join({"connector": "this store", "publish": "publishers"}[who] for who in feature.writers),
    )
    yield "definition", f"version {feature.version}, owner {feature.owner}, tags {', '.join(feature.tags)}"


def _label(feature: FeatureSpec) -> str:
    if feature.label == "instant":
        return "an instant"
    return f"the {feature.label} of a period of {feature.period}" if feature.period != "session" else "a session's date"


def _origin(feature: FeatureSpec) -> str:
    return "computed" if feature.is_derived else feature.source.id


def _provenance(catalog: Catalog, feature: FeatureSpec) -> str:
    if feature.is_derived:
        inputs = ", ".join(f"[{name}](#{_anchor(name)})" for name in feature.inputs)
        age = f", none older than {feature.max_age}" if feature.max_age else ""
        return f"{inputs}{age}, by the model `{feature.source.schema_name}`"
    if not feature.is_connected:
        return "whoever publishes it"
    source = catalog.source(feature.source.id)
    field = f", field {feature.field}" if feature.field else ""
    factors = "; ".join(
        f"times {float(factor):g}" + (f" from {unit}" if unit else "") for unit, factor in feature.factors.items()
    )
    return f"[{source.name}]({source.docs_url}), series {feature.series} of stream {feature.stream}{field}, {factors}"


def _release(feature: FeatureSpec) -> str:
    rule = feature.release
    if isinstance(rule, AfterRule):
        return "as soon as it is valid" if rule.delay in ("PT0S", "P0D") else f"{rule.delay} after it is valid"
    assert rule is not None
    days = {0: "the same day", 1: "the next day"}.get(rule.days or 0, f"{rule.days} days later")
    day = f"the next {rule.weekday}" if rule.weekday else days
    rolled = f", rolled forward to an open day of {rule.roll}" if rule.roll else ""
    return f"{day} at {rule.at} {rule.zone}{rolled}"


def _changes(feature: FeatureSpec) -> str:
    revises = f"its newest {feature.revises.tail} periods" if isinstance(feature.revises, Tail) else {
        "never": "nothing",
        "vintages": "every revision is dated by the source",
        "deep": "any of it, without notice",
    }[str(feature.revises)]  # fmt: skip
    provisional = {
        "estimate": "; its first values are estimates",
        "partial": "; what is not complete yet is not published",
    }.get(str(feature.provisional), "")
    return revises + provisional


def _plausible(feature: FeatureSpec) -> str:
    low, high = feature.quality.expected_range
    jump = feature.quality.jump
    far = (
        "" if jump is None else f"; moves up to {f'a factor of {jump.factor:g}' if jump.factor else f'{jump.amount:g}'}"
    )
    return f"{low:g} to {high:g}{far}" + _repeats(feature.quality.repeats)


def _repeats(most: int | None) -> str:
    if most is None:
        return ""
    return "; never the same value twice in a row" if most == 1 else f"; the same value at most {most} times in a row"


def _sources(catalog: Catalog) -> Iterator[str]:
    yield "## Sources\n"
    for source in catalog.sources.values():
        yield f"### {source.id}\n\n{source.name}: {source.description}\n"
        yield from _about(source)
        yield ""


def _about(source: Source) -> Iterator[str]:
    yield f"- documentation: <{source.docs_url}>"
    yield f"- tables: `raw.{source.slug}_*`; DAG `ingest_{source.slug}`" + (
        f", `backfill_{source.slug}`" if source.has_history else ""
    )
    yield f"- asked: at most {source.rate_limit.per_minute} times a minute; schedule `{'`, `'.join(source.schedule)}`"
    yield f"- reliability: {source.reliability:g}"
    if source.credentials:
        yield f"- needs: {', '.join(source.credentials)}"
    for name, stream in source.streams.items():
        yield f"- stream `{name}`: {stream.description}"


def _anchor(feature_id: str) -> str:
    """As GitHub makes one of a heading."""
    return feature_id.replace("/", "")
