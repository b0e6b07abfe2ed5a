"""The expectation suites, and the tables they are for, as files: made from the catalog, committed in `expectations`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from feature_store.catalog import Catalog
from feature_store.quality.raw_tables import RAW_TABLES
from feature_store.quality.rules import CANDIDATES, CHANGES, Rule, candidate_rules, change_rules, raw_rules
from feature_store.settings import ROOT

PROJECT = ROOT / "expectations"
"""The committed Great Expectations project."""

CONFIG = "great_expectations.yml"
_TABLES = "# From here on made by `feature-store quality suites --write`: a data source for each schema, its tables.\n"

GX_SEVERITY = {"block": "critical", "warn": "warning"}

_GX_VERSION = "1.24.1"


def build_suites(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Every suite by name, in the file format of Great Expectations; equal catalogs give equal content."""
    suites = {
        CANDIDATES: _suite(CANDIDATES, candidate_rules(catalog)),
        CHANGES: _suite(CHANGES, change_rules(catalog)),
    }
    for table in RAW_TABLES:
        name = raw_suite(table.name)
        suites[name] = _suite(name, raw_rules(catalog, table))
    return suites


def raw_suite(table: str) -> str:
    """Name of the suite of a raw table."""
    return f"raw_{table}"


def write_suites(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """Write the files of a project that differ from the catalog, remove suites that are none; returns what changed."""
    wanted = _files(catalog, project)
    stale = _differing(wanted, project)
    (project / "suites").mkdir(exist_ok=True)
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path])
        else:
            path.unlink()
    return stale


def drifted(catalog: Catalog, project: Path = PROJECT) -> list[Path]:
    """The files of a project that are not what the catalog says."""
    return _differing(_files(catalog, project), project)


def _differing(wanted: Mapping[Path, str], project: Path) -> list[Path]:
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return [*differing, *(path for path in project.glob("suites/*.json") if path not in wanted)]


def _files(catalog: Catalog, project: Path) -> dict[Path, str]:
    suites = {
        project / "suites" / f"{name}.json": json.dumps(suite, indent=2, sort_keys=True) + "\n"
        for name, suite in build_suites(catalog).items()
    }
    by_hand = (project / CONFIG).read_text().partition(_TABLES)[0]
    tables = {"features": [CANDIDATES], "quality": [CHANGES], "raw": [table.name for table in RAW_TABLES]}
    sources = {schema: _datasource(schema, names) for schema, names in tables.items()}
    return {project / CONFIG: by_hand + _TABLES + yaml.safe_dump({"fluent_datasources": sources}), **suites}


def _datasource(schema: str, tables: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "postgres",
        "id": _id("datasource", schema),
        "connection_string": "${FEATURE_STORE_GX_DSN}",
        "kwargs": {"connect_args": {"options": f"-c timezone=UTC -c search_path={schema}"}},
        "assets": {table: _asset(schema, table) for table in tables},
    }


def _asset(schema: str, table: str) -> dict[str, Any]:
    whole = {"id": _id("batch", schema, table), "partitioner": None}
    return {
        "type": "table",
        "id": _id("asset", schema, table),
        "table_name": table,
        "batch_metadata": {},
        "batch_definitions": {"all": whole},
    }


def _suite(name: str, rules: Iterable[Rule]) -> dict[str, Any]:
    return {
        "name": name,
        "id": _id(name),
        "expectations": [_expectation(name, rule) for rule in rules],
        "meta": {"great_expectations_version": _GX_VERSION},
        "notes": None,
    }


def _expectation(suite: str, rule: Rule) -> dict[str, Any]:
    meta = {
        "rule": rule.name,
        "severity": rule.severity,
        "scope": rule.scope,
        "feature": rule.feature,
        "expected": rule.expected,
        "reason": rule.reason,
    }
    return {
        "id": _id(suite, rule.name, rule.feature or ""),
        "type": rule.expectation,
        "kwargs": dict(rule.kwargs),
        "description": _description(rule),
        "severity": GX_SEVERITY[rule.severity],
        "meta": {key: value for key, value in meta.items() if value is not None},
    }


def _description(rule: Rule) -> str:
    """What Data Docs show of a rule."""
    subject = f"{rule.feature}: " if rule.feature else ""
    return f"{subject}{rule.expected} [{rule.severity}: {rule.name}]. Why: {rule.reason}."


def _id(*parts: str) -> str:
    """Always the same, so that the files stay as they are."""
    return str(uuid5(NAMESPACE_URL, "/".join(("feature-store", *parts))))
