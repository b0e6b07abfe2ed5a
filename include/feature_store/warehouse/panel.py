"""What the dbt project takes from the catalog: dbt needs to know it before it sees a database.

The columns of `features.daily_panel`, the models that read streams, and those that compute derived features.
"""

from collections.abc import Iterator
from pathlib import Path

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.warehouse.dbt import PROJECT

MACROS = Path("macros/catalog.sql")
DOCS = Path("models/features/daily_panel.yml")

PUBLISHED_MODEL = "points_published__points"
"""The model of what is published: a points model as those of streams are, whatever the catalog holds."""


def column(feature_id: str) -> str:
    """The panel's column of a feature: its id with underscores."""
    return feature_id.replace("/", "_")


def render(catalog: Catalog) -> dict[Path, str]:
    """The text of each generated file, by its path in the dbt project."""
    return {MACROS: _macros(catalog), DOCS: "\n".join(_docs(catalog)) + "\n"}


def drifted(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """The files that do not say what the catalog says."""
    return [path for path, text in render(catalog).items() if _read(project / path) != text]


def write(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """Write the files that differ; returns their paths."""
    stale = drifted(catalog, project)
    for path in stale:
        (project / path).write_text(render(catalog)[path])
    return stale


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _macros(catalog: Catalog) -> str:
    models = dict.fromkeys(f.source.schema_name for f in catalog.features.values() if f.is_derived)
    points = [*(f"points_{slug}__{stream}" for slug, stream in catalog.connected_streams), PUBLISHED_MODEL]
    return (
        "{# Made from the catalog by `feature-store catalog dbt --write`. #}\n"
        + _list("points_models", [f"'{name}'" for name in points])
        + "\n"
        + _list("derived_models", [f"'{name}'" for name in models])
        + "\n"
        + _list("panel_features", [f"{{'id': '{name}', 'column': '{column(name)}'}}" for name in catalog.features])
    )


def _list(name: str, rows: list[str]) -> str:
    lines = "\n".join(f"    {row}," for row in rows)
    return f"{{% macro {name}() -%}}\n  {{{{ return([\n{lines}\n  ]) }}}}\n{{%- endmacro %}}\n"


def _docs(catalog: Catalog) -> Iterator[str]:
    yield "# Made from the catalog by `feature-store catalog dbt --write`."
    yield "version: 2"
    yield ""
    yield "models:"
    yield "  - name: daily_panel"
    yield "    description: >"
    yield "      A row a UTC day, a column a feature: what was known at the end of the day, one minute past midnight,"
    yield "      and never what became known later. Features of a higher frequency give their last value of the day."
    yield "      Beside each value stand its age at that moment and whether that is past its ttl."
    yield "      daily_panel_as_stored(instant) is the panel as this store held it then."
    yield "    columns:"
    yield '      - {name: day, description: "The UTC day."}'
    for feature in catalog.features.values():
        name = column(feature.id)
        yield f"      - name: {name}"
        yield f'        description: "{_described(feature)}"'
        yield f'      - {{name: {name}_age, description: "Age of {feature.id} at the end of the day."}}'
        yield f'      - {{name: {name}_is_stale, description: "Whether {feature.id} was older than its ttl."}}'


def _described(feature: FeatureSpec) -> str:
    return f"{feature.description} {feature.id}, in {feature.unit}."
