"""The formulas of derived features: noted with the version that they computed first, and that version is held to them.

A formula is the SQL of the feature's dbt model, of the derived and seasonal models below it and of the macros that they
use; comments, white space and `config` do not count. Macros with `meta: {formula: false}` choose which rows a run looks
at: no number depends on them, and they do not count either.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from feature_store.catalog import Catalog
from feature_store.errors import CatalogError
from feature_store.pipeline.models import project
from feature_store.settings import Settings

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import ModelNode

_MARKS = {"{%-": "{%", "-%}": "%}", "{{-": "{{", "-}}": "}}"}
"""Jinja's marks that swallow white space, and those that do not."""
_FOLDERS = ("derived", "seasonal")
_CONFIG = re.compile(r"\{\{-?\s*config\(.*?\)\s*-?\}\}", re.DOTALL)
_WORDS = re.compile(
    r"""(?P<comment>\{\#.*?\#\}|--[^\n]*|/\*.*?\*/)
      | (?P<word>'(?:[^']|'')*' | "[^"]*" | \{%-? | -?%\} | \{\{-? | -?\}\} | \w+ | [^\w\s])""",
    re.DOTALL | re.VERBOSE,
)


def check_formulas(conn: psycopg.Connection, settings: Settings, catalog: Catalog) -> None:
    """Note the formula of every derived feature that is new or has a new version; commits.

    Raises CatalogError naming the feature, its model and the version to raise, when a version that was noted has
    another formula now: numbers already published under it would then mean two things. Nothing is noted then.
    """
    formulas = formulas_of(project(settings))
    given = {
        (feature.id, feature.version): (feature.source.schema_name, formulas[feature.source.schema_name])
        for feature in catalog.features.values()
        if feature.is_derived and feature.source.schema_name in formulas
    }
    held = {
        (feature_id, version): digest
        for feature_id, version, digest in conn.execute("select feature_id, version, sha256 from registry.formulas")
    }
    changed = [
        f"features.yaml: {feature_id}: the formula in model {model} is not the one that version {version} was computed "
        f"by; raise version to {version + 1} in features.yaml, so that published numbers keep their meaning"
        for (feature_id, version), (model, digest) in given.items()
        if held.get((feature_id, version), digest) != digest
    ]
    if changed:
        conn.rollback()
        raise CatalogError("formulas changed under their versions:\n  " + "\n  ".join(changed))
    with conn.cursor() as cursor:
        cursor.executemany(
            """insert into registry.formulas (feature_id, version, model, sha256) values (%s, %s, %s, %s)
               on conflict (feature_id, version) do nothing""",
            [(*key, *formula) for key, formula in given.items() if key not in held],
        )
    conn.commit()


def formulas_of(manifest: "Manifest") -> dict[str, str]:
    """The fingerprint of each derived and seasonal model's formula, by the model's name."""
    return {model.name: _fingerprint(manifest, model) for model in _models(manifest, manifest.nodes)}


def _fingerprint(manifest: "Manifest", of: "ModelNode") -> str:
    models = {of.unique_id: of}
    waiting = [of]
    while waiting:
        below = [model for model in _models(manifest, waiting.pop().depends_on.nodes) if model.unique_id not in models]
        models |= {model.unique_id: model for model in below}
        waiting += below
    macros = _macros(manifest, (name for model in models.values() for name in model.depends_on.macros))
    parts = [(name, models[name].raw_code) for name in sorted(models)]
    parts += [(name, manifest.macros[name].macro_sql) for name in sorted(macros)]
    return sha256("\0".join(f"{name}\0{_plain(text)}" for name, text in parts).encode()).hexdigest()


def _models(manifest: "Manifest", names: Iterable[str]) -> "Iterator[ModelNode]":
    """The derived and seasonal models among these nodes."""
    from dbt.contracts.graph.nodes import ModelNode

    for name in names:
        node = manifest.nodes.get(name)
        if isinstance(node, ModelNode) and node.fqn[1] in _FOLDERS:
            yield node


def _macros(manifest: "Manifest", names: Iterable[str]) -> set[str]:
    """The project's own macros among these and those that they use."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        macro = manifest.macros[name]
        if macro.package_name == manifest.metadata.project_name and macro.meta.get("formula", True):
            found.add(name)
            waiting |= set(macro.depends_on.macros) - found
    return found


def _plain(text: str) -> str:
    """The text without comments and `config`, with one space between its words and signs."""
    words = (match["word"] for match in _WORDS.finditer(_CONFIG.sub("", text)))
    return " ".join(_MARKS.get(word, word) for word in words if word)
