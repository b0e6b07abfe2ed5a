"""What a run of a suite found: in the words people read, and as history in `quality.results`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from feature_store.quality.rules import CANDIDATES, CHANGES, Scope, Severity

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult


KEPT = timedelta(days=30)
"""How long it is kept that a candidate broke no rule."""


@dataclass(frozen=True)
class RuleResult:
    """How one rule fared."""

    suite: str
    rule: str
    severity: Severity
    scope: Scope
    feature: str | None
    success: bool
    checked: int | None
    failed: int | None
    """Rows; None where the rule is not about rows, or could not be evaluated."""
    observed: str
    expected: str
    reason: str

    def __str__(self) -> str:
        about = f"{self.feature}: " if self.feature else ""
        return f"{about}{self.rule}: observed {self.observed}; expected {self.expected}"


@dataclass(frozen=True)
class Verdict:
    """What a suite says of a table."""

    run_id: str
    suite: str
    checked_at: datetime
    checked: int
    """Rows that were judged."""
    blocked: int = 0
    """Rows that are kept out, those of earlier runs that still fail included."""
    newly_blocked: int = 0
    """Rows that this run is the first to keep out."""
    resolved: int = 0
    """Rejects of earlier runs that no longer hold."""
    results: tuple[RuleResult, ...] = ()
    docs: Path | None = None
    """The index page of Data Docs, where they were built."""

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """The rules that did not hold, as they stand in the suite."""
        return tuple(result for result in self.results if not result.success)

    @property
    def blocked_by_rule(self) -> dict[str, int]:
        """Rows kept out by each rule; a row that breaks two counts for both."""
        counts: Counter[str] = Counter()
        for result in self.failures:
            if result.severity == "block":
                counts[result.rule] += result.failed or 0
        return dict(counts)

    def __str__(self) -> str:
        lines = [
            f"{self.suite}: {self.checked} rows checked, {self.blocked} kept out "
            f"({self.newly_blocked} newly), {self.resolved} rejects resolved"
        ]
        lines += [f"  {result.severity}: {result}" for result in self.failures]
        if self.docs:
            lines.append(f"  Data Docs: {self.docs.as_uri()}")
        return "\n".join(lines)


def read_result(result: "ExpectationValidationResult", suite: str, total: int) -> RuleResult:
    """Put a result of a suite into our words; `total` is how many rows the table has."""
    meta = meta_of(result)
    found: Mapping[str, Any] = result.result or {}
    failed = found.get("unexpected_count")
    checked = found.get("element_count", total if failed is not None else None)
    return RuleResult(
        suite=suite,
        rule=meta["rule"],
        severity=meta["severity"],
        scope=meta["scope"],
        feature=meta.get("feature"),
        success=bool(result.success),
        checked=checked,
        failed=failed,
        observed=_problem(result) or _columns(found) or _rows(found, checked, failed),
        expected=meta["expected"],
        reason=meta["reason"],
    )


def meta_of(result: "ExpectationValidationResult") -> Mapping[str, Any]:
    """What the suite says of the rule of a result: rule, severity, scope, feature, expected, reason."""
    config = result.expectation_config
    return (config.meta if config else None) or {}


def id_of(result: "ExpectationValidationResult") -> str:
    """Id of the expectation of a result."""
    config = result.expectation_config
    return str(config.id if config else None)


def record(conn: psycopg.Connection, verdict: Verdict) -> None:
    """Add a verdict to the history."""
    record_results(conn, verdict.run_id, verdict.checked_at, verdict.results)


def record_results(conn: psycopg.Connection, run_id: str, checked_at: datetime, results: Iterable[RuleResult]) -> None:
    """Add results of a run to the history."""
    with conn.cursor() as cursor:
        cursor.executemany(
            """insert into quality.results
                 (run_id, checked_at, suite, feature_id, rule, severity, success, rows_checked, rows_failed,
                  observed, expected, reason)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    run_id, checked_at, r.suite, r.feature, r.rule, r.severity, r.success, r.checked, r.failed,
                    r.observed, r.expected, r.reason,
                )
                for r in results
            ],
        )  # fmt: skip


def forget_results(conn: psycopg.Connection) -> int:
    """Remove what transforms found in order after KEPT, and return how many results; commits.

    A transform a minute leaves tens of thousands a day. What broke is kept, and so is what the hourly checks found.
    """
    old = "delete from quality.results where success and suite = any(%s) and checked_at < ops.now() - %s"
    removed = conn.execute(old, ([CANDIDATES, CHANGES], KEPT)).rowcount
    conn.commit()
    return removed


def plain(value: object) -> str:
    """A value as people write it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _problem(result: "ExpectationValidationResult") -> str | None:
    info: Mapping[str, Any] = result.exception_info or {}
    # One exception, or one for each metric that could not be computed.
    causes: Sequence[Mapping[str, Any]] = (
        [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, Mapping)]
    )
    for cause in causes:
        if cause.get("raised_exception") or cause.get("exception_message"):
            return f"that it could not be evaluated ({str(cause.get('exception_message')).splitlines()[0]})"
    return None


def _columns(found: Mapping[str, Any]) -> str | None:
    if isinstance(found.get("observed_value"), str):
        return f"type {found['observed_value']}"
    if "unexpected_rows" in found.get("details", {}):
        rows = found["details"]["unexpected_rows"]
        return f"{found['observed_value']} rows" + (f", for example {_named(rows[0])}" if rows else "")
    if "details" not in found and "unexpected_count" not in found:
        return "all columns"
    differing = found.get("details", {}).get("mismatched", {})
    parts = [
        f"{label} {', '.join(differing[key])}"
        for key, label in (("missing", "no column"), ("unexpected", "an unknown column"))
        if differing.get(key)
    ]
    return " and ".join(parts) or None


def _rows(found: Mapping[str, Any], checked: int | None, failed: int | None) -> str:
    if not failed:
        return f"{checked or 0} rows without fault"
    rows = f"{failed} of {checked} rows"
    examples = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    if not examples or not isinstance(examples[0], Mapping):
        return rows
    return f"{rows}, for example {_named(examples[0])}"


def _named(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {plain(value)}" for name, value in row.items() if value is not None)
