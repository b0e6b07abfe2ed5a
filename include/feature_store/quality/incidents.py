"""Incidents: a rule that does not hold of a subject, from the check that finds it to the one that finds it mended.

They are what alerts are about: a check may come every minute, an incident is told once (`alerts.send_due`).
"""

from collections.abc import Iterable, Sequence

import psycopg

from feature_store.quality.results import RuleResult

_BROKEN = """
insert into quality.incidents
  (subject, feature_id, source, rule, severity, observed, expected, docs, run_id, opened_at, last_seen_at)
values
  (%(subject)s, %(feature)s, %(source)s, %(rule)s, %(severity)s, %(observed)s, %(expected)s, %(docs)s, %(run_id)s,
   ops.now(), ops.now())
on conflict (subject, rule) where recovered_at is null do update
set severity = excluded.severity, observed = excluded.observed, expected = excluded.expected,
    docs = coalesce(excluded.docs, incidents.docs), run_id = excluded.run_id, last_seen_at = excluded.last_seen_at
"""

_HOLDS = """
update quality.incidents set recovered_at = ops.now()
where recovered_at is null and subject = %(subject)s and rule = %(rule)s and source = %(source)s
"""


def follow(
    conn: psycopg.Connection,
    run_id: str,
    source: str,
    results: Sequence[RuleResult],
    *,
    table: str | None = None,
    docs: str | None = None,
) -> None:
    """Open, carry on and close the incidents of one source by all results, good and bad, of one check of it.

    `table`, as `raw.fred_observations`, is the subject of results that are about no feature; ValueError where it lacks.
    `docs` is a link to the pages that show the check. An incident that no result is about stays as it is. Commits.
    """
    for (subject, rule), result in sorted(_by_subject(results, table).items()):
        about = {"subject": subject, "rule": rule, "source": source}
        if result.success:
            conn.execute(_HOLDS, about)
        else:
            found = {"feature": result.feature, "severity": result.severity, "run_id": run_id, "docs": docs}
            conn.execute(_BROKEN, about | found | {"observed": result.observed, "expected": result.expected})
    conn.commit()


def _by_subject(results: Iterable[RuleResult], table: str | None) -> dict[tuple[str, str], RuleResult]:
    """Results by subject and rule; where a rule was checked twice of one subject, it holds if it held both times."""
    found: dict[tuple[str, str], RuleResult] = {}
    for result in results:
        subject = result.feature or table
        if subject is None:
            raise ValueError(f"the rule {result.rule} is about no feature: say which table it is about")
        earlier = found.get((subject, result.rule))
        if earlier is None or earlier.success:
            found[subject, result.rule] = result
    return found
