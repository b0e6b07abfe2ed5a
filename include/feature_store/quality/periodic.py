"""One periodic check: of a source's raw tables and features, or of what this store computes and what is published."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import DERIVED_SOURCE, PUBLISH_SOURCE, PUBLISH_TABLE
from feature_store.errors import QualityError
from feature_store.quality.checks import Checked, check_features
from feature_store.quality.incidents import follow
from feature_store.quality.judge import Docs, judge_raw_tables
from feature_store.quality.raw_tables import RAW_TABLES
from feature_store.quality.results import RuleResult, Verdict, record_results
from feature_store.settings import Settings

OWN = DERIVED_SOURCE
"""The check of what no source brings: derived and adjusted features, published points."""


@dataclass(frozen=True)
class SourceChecked:
    """What a check found."""

    source: str
    features: tuple[Checked, ...]
    tables: tuple[Verdict, ...]

    @property
    def failures(self) -> tuple[tuple[str, RuleResult], ...]:
        """What does not hold, and of what: of each feature its primary rule, and the broken rules of raw tables."""
        of_features = [(checked.feature.id, checked.failures[0]) for checked in self.features if checked.failures]
        of_tables = [(_table(verdict), result) for verdict in self.tables for result in verdict.failures]
        return (*of_tables, *of_features)

    @property
    def blocking(self) -> tuple[tuple[str, RuleResult], ...]:
        """Those of them that call for somebody."""
        return tuple((subject, result) for subject, result in self.failures if result.severity == "block")


def sources_checked(catalog: Catalog) -> list[str]:
    """The names to check by: the slug of every connected source, and OWN."""
    return [*(source.slug for source in catalog.connected_sources), OWN]


def check_source(
    conn: psycopg.Connection, settings: Settings, catalog: Catalog, source: str, run_id: str, docs: Docs = "later"
) -> SourceChecked:
    """Check what `sources_checked` names, keep the results and open or close incidents by them; commits.

    A raw table without rows is left out. Nothing is raised, whatever is found: see `require_sound`.
    """
    features = check_features(conn, settings, catalog, _features(catalog, source))
    tables = [name for name in _tables(source) if _has_rows(conn, name)]
    verdicts = judge_raw_tables(conn, catalog, run_id, tables, docs=docs, home=settings.home)
    record_results(conn, run_id, clock.now(conn), [result for checked in features for result in checked.results])
    pages = settings.data_docs_url
    follow(conn, run_id, source, [result for checked in features for result in _to_follow(checked)], docs=pages)
    for verdict in verdicts:
        follow(conn, run_id, source, verdict.results, table=_table(verdict), docs=pages)
    return SourceChecked(source, tuple(features), tuple(verdicts))


def require_sound(found: SourceChecked, link: str = "") -> None:
    """Raise QualityError where something is blocked: feature, rule, what was observed and expected, and a link."""
    if not found.blocking:
        return
    lines = "\n".join(
        f"  {subject}: {result.rule}: observed {result.observed}; expected {result.expected}"
        for subject, result in found.blocking
    )
    pages = f"\nData Docs: {link}" if link else ""
    raise QualityError(f"{found.source} is not sound:\n{lines}\n`feature-store quality` shows every feature{pages}")


def _to_follow(checked: Checked) -> Sequence[RuleResult]:
    """What holds, and of what does not the primary rule: one incident a feature, for the rest follows from it."""
    return [*(result for result in checked.results if result.success), *checked.failures[:1]]


def _features(catalog: Catalog, source: str) -> Sequence[FeatureSpec]:
    if source == OWN:
        return [f for f in catalog.features.values() if f.source.id in (DERIVED_SOURCE, PUBLISH_SOURCE)]
    return catalog.served_by(source)


def _tables(source: str) -> list[str]:
    return [PUBLISH_TABLE] if source == OWN else [table.name for table in RAW_TABLES if table.slug == source]


def _has_rows(conn: psycopg.Connection, table: str) -> bool:
    row = conn.execute(f"select exists (select from raw.{table})").fetchone()  # noqa: S608 - a name of ours
    return bool(row and row[0])


def _table(verdict: Verdict) -> str:
    """The subject that a suite of a raw table is about: raw_fred_observations judges raw.fred_observations."""
    return verdict.suite.replace("_", ".", 1)
