"""Judge before publishing: what breaks a blocking rule leaves the candidates for raw.rejects, the rest stays.

Two suites say so: one of the candidates as they are, one of how they compare with the points before them. What breaks a
warning stays, with less confidence.

A blocked row is never lost: it stays an open reject and comes back to the candidates with every later judgement.
Once it passes, because the catalog's range was widened or time went by, its reject is resolved.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.errors import QualityError
from feature_store.quality import project
from feature_store.quality.changes import compare_candidates
from feature_store.quality.confidence import lower_confidence
from feature_store.quality.data_docs import publish, shown_lately
from feature_store.quality.findings import find
from feature_store.quality.incidents import follow
from feature_store.quality.raw_tables import RAW_TABLES
from feature_store.quality.rejects import reconsider, reject
from feature_store.quality.results import RuleResult, Verdict, id_of, meta_of, read_result, record
from feature_store.quality.rules import CANDIDATES, CHANGES
from feature_store.quality.suites import raw_suite
from feature_store.settings import load_settings
from feature_store.warehouse.connection import connect

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context.data_context.file_data_context import FileDataContext

log = logging.getLogger(__name__)

Docs = Literal["always", "due", "later", "never"]
"""When a run gets its pages in Data Docs; `later` is when all pages are built the next time. They are due when rows
were newly kept out, and else once an hour: a run a minute would push every page of interest out of the few that are
kept."""


def judge(
    database: str | psycopg.Connection,
    catalog: Catalog,
    run_id: str,
    *,
    docs: Docs = "always",
    home: Path | None = None,
) -> Verdict:
    """Judge `features.candidates` and keep out the rows that break a blocking rule.

    Those rows leave the table for raw.rejects in one transaction; running it again changes nothing. `database`
    is a DSN or a connection, whose open transaction is committed. `home` is the state directory, by default
    the settings'.

    Raises QualityError when the table as a whole cannot be trusted: a column is missing, a key is there twice.
    Then no row is moved, and nothing of the table may be published.
    """
    home = (home or load_settings().home).resolve()
    with _connected(database) as conn:
        _check_exists(conn, "features", "candidates")
        reconsider(conn, catalog)
        conn.commit()
        features = {row[0] for row in conn.execute("select distinct feature_id from features.candidates")}
        verdict = _empty(conn, run_id, CANDIDATES, "features", "candidates")
        if verdict.checked == 0:
            return verdict
        with project.opened(catalog, home, _dsn(conn)) as context:
            found = [project.run_suite(context, CANDIDATES, verdict.checked_at, features)]
            verdict = _with(context, found[0], verdict)
            if not _fatal(verdict):
                compare_candidates(conn, _dsn(conn), catalog)
                found.append(project.run_suite(context, CHANGES, verdict.checked_at, features))
                verdict = _with(context, found[1], verdict)
            if _fatal(verdict):
                raise _refused(conn, _shown(context, found, verdict, home, docs), "features.candidates")
            failing = [row for result in found for row in _failing(context, result, verdict.checked_at)]
            with conn.transaction():
                kept = reject(conn, catalog, [row for row in failing if row.severity == "block"])
                find(conn, run_id, [row for row in failing if row.beside])
                lower_confidence(conn, [row for row in failing if row.severity == "warn"])
                record(conn, verdict)
            _follow(conn, verdict)
            verdict = replace(verdict, blocked=kept.blocked, newly_blocked=kept.newly_blocked, resolved=kept.resolved)
            verdict = _shown(context, found, verdict, home, docs)
    log.info("%s", verdict)
    return verdict


def judge_raw(
    database: str | psycopg.Connection,
    catalog: Catalog,
    run_id: str,
    table: str = RAW_TABLES[0].name,
    *,
    docs: Docs = "always",
    home: Path | None = None,
) -> Verdict:
    """Judge a raw table, for example `fred_observations`; raw rows stay where they are, whatever is found.

    Raises QualityError when a blocking rule fails: the columns, a null in a required one, a key twice.
    """
    [verdict] = judge_raw_tables(database, catalog, run_id, [table], docs=docs, home=home)
    if _fatal(verdict):
        raise _refusal(verdict, f"raw.{table}")
    return verdict


def judge_raw_tables(
    database: str | psycopg.Connection,
    catalog: Catalog,
    run_id: str,
    tables: Sequence[str],
    *,
    docs: Docs = "always",
    home: Path | None = None,
) -> list[Verdict]:
    """Judge raw tables, each by its suite; raises nothing, whatever is found: the verdicts say it."""
    home = (home or load_settings().home).resolve()
    verdicts = []
    with _connected(database) as conn:
        for table in tables:
            _check_exists(conn, "raw", table)
        with project.opened(catalog, home, _dsn(conn)) as context:
            for table in tables:
                verdict = _empty(conn, run_id, raw_suite(table), "raw", table)
                found = [project.run_suite(context, verdict.suite, verdict.checked_at, ())]
                verdict = _shown(context, found, _with(context, found[0], verdict), home, docs)
                record(conn, verdict)
                verdicts.append(verdict)
                log.info("%s", verdict)
        conn.commit()
    return verdicts


@contextmanager
def _connected(database: str | psycopg.Connection) -> Iterator[psycopg.Connection]:
    if isinstance(database, psycopg.Connection):
        database.commit()  # Great Expectations looks through a connection of its own
        yield database
        return
    with connect(database) as conn:
        yield conn


def _dsn(conn: psycopg.Connection) -> str:
    return make_conninfo(conn.info.dsn, password=conn.info.password)


def _check_exists(conn: psycopg.Connection, schema: str, table: str) -> None:
    row = conn.execute("select to_regclass(%s) is not null", (f"{schema}.{table}",)).fetchone()
    if not (row and row[0]):
        raise QualityError(f"there is no table {schema}.{table} to judge: run the migrations and dbt first")


def _empty(conn: psycopg.Connection, run_id: str, suite: str, schema: str, table: str) -> Verdict:
    """A verdict without results yet: the table's rows and the instant of judging."""
    counting = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
    row = conn.execute(counting).fetchone()
    assert row is not None
    now = clock.now(conn)
    conn.commit()
    return Verdict(run_id, suite, checked_at=now, checked=row[0])


def _with(context: "FileDataContext", found: "ExpectationSuiteValidationResult", verdict: Verdict) -> Verdict:
    """The verdict with what a suite found besides, in the suite's order."""
    order = {e.id: n for n, e in enumerate(context.suites.get(found.suite_name).expectations)}
    found.results.sort(key=lambda result: order[id_of(result)])  # those that broke off came first
    results = (read_result(result, found.suite_name, verdict.checked) for result in found.results)
    return replace(verdict, results=(*verdict.results, *results))


def _shown(
    context: "FileDataContext",
    found: Sequence["ExpectationSuiteValidationResult"],
    verdict: Verdict,
    home: Path,
    docs: Docs,
) -> Verdict:
    """The verdict with its pages, where it gets any."""
    is_due = bool(verdict.newly_blocked or _fatal(verdict)) or not shown_lately(home, verdict.suite)
    if docs == "never" or (docs == "due" and not is_due):
        return verdict
    return replace(verdict, docs=_publish(context, found, verdict, home, is_later=docs == "later"))


def _publish(
    context: "FileDataContext",
    found: Sequence["ExpectationSuiteValidationResult"],
    verdict: Verdict,
    home: Path,
    is_later: bool,
) -> Path | None:
    try:
        keys = [project.keep_result(context, result, verdict.run_id, verdict.checked_at) for result in found]
        return None if is_later else publish(context, home, keys)
    except Exception:
        # Whatever happens to a page, the data is judged.
        log.exception("Data Docs of run %s could not be built", verdict.run_id)
        return None


def _failing(
    context: "FileDataContext", found: "ExpectationSuiteValidationResult", now: datetime
) -> list[project.Failing]:
    """The rows that break a rule about rows."""
    failed = [result for result in found.results if not result.success and meta_of(result)["scope"] == "row"]
    return project.failing_rows(context, found.suite_name, now, failed)


def _fatal(verdict: Verdict) -> list[RuleResult]:
    """Why the table as a whole cannot be trusted; empty when it can."""
    return _primary(r for r in verdict.failures if r.severity == "block" and _is_fatal(r))


def _refused(conn: psycopg.Connection, verdict: Verdict, table: str) -> QualityError:
    """Record the verdict, tell of it, and say why the table is refused."""
    record(conn, verdict)
    _follow(conn, verdict)
    return _refusal(verdict, table)


def _follow(conn: psycopg.Connection, verdict: Verdict) -> None:
    """Incidents are about the table; what single rows break is told of their features by the periodic checks."""
    about_table = [result for result in verdict.results if result.scope == "table"]
    follow(conn, verdict.run_id, "transform", about_table, table="features.candidates")


def _refusal(verdict: Verdict, table: str) -> QualityError:
    lines = "\n  ".join(map(str, _fatal(verdict)))
    where = f"\nData Docs: {verdict.docs.as_uri()}" if verdict.docs else ""
    return QualityError(f"{table} is refused, and nothing of it goes on:\n  {lines}{where}")


def _is_fatal(result: RuleResult) -> bool:
    """A rule that no row can be blamed for, or that could not be evaluated."""
    return result.scope == "table" or result.failed is None


def _primary(fatal: Iterable[RuleResult]) -> list[RuleResult]:
    """Where columns are missing, the rules that could not be evaluated only follow from it."""
    found = list(fatal)
    return [r for r in found if r.rule == "columns"] or found
