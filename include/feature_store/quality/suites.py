"""The expectation suites as files: made from the catalog, committed in `expectations/suites`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from feature_store.catalog import Catalog
from feature_store.quality.rules import CANDIDATES, RAW_TABLES, Rule, candidate_rules, raw_rules
from feature_store.settings import ROOT

PROJECT = ROOT / "expectations"
"""The committed Great Expectations project."""

FOLDER = PROJECT / "suites"

GX_SEVERITY = {"block": "critical", "warn": "warning"}

_GX_VERSION = "1.24.1"


def build_suites(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Every suite by name, in the file format of Great Expectations; equal catalogs give equal content."""
    suites = {CANDIDATES: _suite(CANDIDATES, candidate_rules(catalog))}
    for table in RAW_TABLES:
        name = raw_suite(table.name)
        suites[name] = _suite(name, raw_rules(catalog, table))
    return suites


def raw_suite(table: str) -> str:
    """Name of the suite of a raw table."""
    return f"raw_{table}"


def write_suites(catalog: Catalog, folder: Path = FOLDER) -> list[Path]:
    """Write the suites that differ from what `folder` holds, remove what is none; returns what changed."""
    wanted = _files(catalog, folder)
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    surplus = [path for path in folder.glob("*.json") if path not in wanted]
    folder.mkdir(parents=True, exist_ok=True)
    for path in changed:
        path.write_text(wanted[path])
    for path in surplus:
        path.unlink()
    return [*changed, *surplus]


def drifted(catalog: Catalog, folder: Path = FOLDER) -> list[Path]:
    """The files in `folder` that are not what the catalog says."""
    wanted = _files(catalog, folder)
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return [*differing, *(path for path in folder.glob("*.json") if path not in wanted)]


def _files(catalog: Catalog, folder: Path) -> dict[Path, str]:
    return {
        folder / f"{name}.json": json.dumps(suite, indent=2, sort_keys=True) + "\n"
        for name, suite in build_suites(catalog).items()
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
