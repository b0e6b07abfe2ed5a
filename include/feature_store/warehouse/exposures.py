"""A dbt exposure for each feature, made from the catalog: dbt's docs lead from it to the raw tables it comes from."""

from pathlib import Path
from typing import Any

import yaml

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import PUBLISH_TABLE, AfterRule, DayRule
from feature_store.catalog.durations import parts
from feature_store.warehouse.dbt import PROJECT
from feature_store.warehouse.panel import PUBLISHED_MODEL

FILE = Path("models/exposures.yml")

_HEAD = "# Made from the catalog by `feature-store catalog dbt --write`.\n"
_EVERY = {"tick": "event", "1m": "minute", "5m": "five minutes", "1h": "hour", "1d": "day"}
_DAYS = {"mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday"}


def render(catalog: Catalog, project: Path = PROJECT) -> str:
    """The text of the file: the features whose models are in the dbt project, in the catalog's order.

    A feature whose source has no connector yet has no lineage to show.
    """
    models = {path.stem for path in (project / "models").rglob("*.sql")}
    shown = [
        _exposure(catalog, feature) for feature in catalog.features.values() if lineage(catalog, feature) <= models
    ]
    content = {"version": 2, "exposures": shown}
    return _HEAD + yaml.dump(content, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)


def lineage(catalog: Catalog, feature: FeatureSpec) -> set[str]:
    """The models that a feature's numbers come from: of a derived one its own, and those of all its inputs."""
    if not feature.is_derived:
        published = {PUBLISHED_MODEL} if feature.is_publishable else set()
        connected = (
            {f"points_{catalog.source(feature.source.id).slug}__{feature.stream}"} if feature.is_connected else set()
        )
        return connected | published
    inputs = (lineage(catalog, catalog.feature(name)) for name in feature.inputs)
    return {feature.source.schema_name}.union(*inputs)


def drifted(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """The file by its path in the dbt project, if it does not say what the catalog says."""
    path = project / FILE
    return [] if path.exists() and path.read_text() == render(catalog, project) else [FILE]


def write(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """Write the file if it differs; returns its path then."""
    stale = drifted(catalog, project)
    for path in stale:
        (project / path).write_text(render(catalog, project))
    return stale


def _exposure(catalog: Catalog, feature: FeatureSpec) -> dict[str, Any]:
    source = catalog.source(feature.source.id) if feature.is_connected else None
    return {
        "name": feature.id.replace("/", "__"),
        "label": feature.id,
        "type": "ml",
        "description": _description(catalog, feature),
        **({"url": source.docs_url} if source else {}),
        "owner": {"name": feature.owner},
        "config": {"tags": list(feature.tags), "meta": _meta(catalog, feature)},
        "depends_on": [f"ref('{model}')" for model in sorted(lineage(catalog, feature))],
    }


def _description(catalog: Catalog, feature: FeatureSpec) -> str:
    described = f"{feature.label} of its {_span(feature.period)}" if feature.period else feature.label
    lines = [
        f"- unit: {feature.unit}",
        f"- points: one each {_EVERY[feature.frequency]} of the calendar {feature.calendar}; `ts` is the {described}",
        f"- made from: {_origin(catalog, feature)}",
        f"- available: {_release(feature)}",
        f"- to be read as: `feature_id = '{feature.id}'` in the schema `features`",
    ]
    return f"{feature.description}\n\n" + "\n".join(lines)


def _meta(catalog: Catalog, feature: FeatureSpec) -> dict[str, Any]:
    definition = {"version": feature.version, "unit": feature.unit, "frequency": feature.frequency}
    released = {"feature": feature.id, "available": _release(feature)}
    if feature.is_derived:
        return {**definition, "inputs": list(feature.inputs), **released}
    if not feature.is_connected:
        return {**definition, "raw_table": f"raw.{PUBLISH_TABLE}", **released}
    table = f"raw.{catalog.source(feature.source.id).slug}_{feature.stream}"
    return {**definition, "raw_table": table, "series": feature.series, "column": feature.field or "value", **released}


def _origin(catalog: Catalog, feature: FeatureSpec) -> str:
    if feature.is_derived:
        return ", ".join(feature.inputs)
    if not feature.is_connected:
        return "what is published"
    beside = ", and what is published" if feature.is_publishable else ""
    return f"{feature.series} of {catalog.source(feature.source.id).name}{beside}"


def _release(feature: FeatureSpec) -> str:
    """When a value is first there, in words."""
    match feature.release:
        case None if feature.is_publishable:
            return "when its publishers say, and else when it is published"
        case None:
            return "when the last of its inputs is available"
        case AfterRule(delay="PT0S"):
            return "at the time it describes"
        case AfterRule(delay=delay):
            return f"{_span(delay)} after the time it describes is over"
        case DayRule(days=0) as rule:
            day = "on its own date"
        case DayRule(weekday=None, days=days) as rule:
            day = f"{days} {'day' if days == 1 else 'days'} after its date"
        case DayRule(weekday=weekday) as rule:
            day = f"on the {_DAYS[str(weekday)]} after its date"
    roll = f", moved on to an open day of {rule.roll}" if rule.roll else ""
    return f"{day} at {rule.at} {rule.zone}{roll}"


def _span(duration: str) -> str:
    """A duration in words; what is no whole number of one unit stays as it is."""
    if duration == "session":
        return duration
    months, fixed = parts(duration)
    sizes = [(months, "month")] if months else [(fixed.days, "day"), (fixed.seconds // 3600, "hour")]
    sizes += [(fixed.seconds // 60 % 60, "minute"), (fixed.seconds % 60, "second")]
    said = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in sizes if count]
    return said[0] if len(said) == 1 else duration


class _Readable(yaml.SafeDumper):
    """Writes text of several lines as such."""


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
