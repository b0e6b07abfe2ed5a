"""What must hold of raw rows and of candidates: every rule, its threshold and its reason.

A rule of scope `row` keeps single rows out; one of scope `table` says that the whole table cannot be trusted.
`block` rules decide what is published, `warn` rules only tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import PUBLISH_TABLE, Jump
from feature_store.quality.raw_tables import KEY, RawTable

Severity = Literal["block", "warn"]
Scope = Literal["row", "table"]

CANDIDATES = "candidates"
"""The suite, and the table in schema `features`, of what may be published."""

CHANGES = "candidate_changes"
"""The suite, and the table in schema `quality`, of how candidates compare with the points before them."""

BASES = ("vintage", "schedule", "backfilled", "ingested", "stated")
GRAINS = ("intraday", "daily")

_CANDIDATE_COLUMNS = (
    *KEY, "grain", "value", "available_basis", "is_provisional", "confidence", "meta", "evidence",
)  # fmt: skip
_ALWAYS_KNOWN = ("grain", "available_basis", "is_provisional", "confidence", "meta", "evidence")


@dataclass(frozen=True)
class Rule:
    """One expectation: its Great Expectations type and arguments, what it means and why it is there."""

    name: str
    expectation: str
    kwargs: Mapping[str, Any]
    expected: str
    """What a right value looks like, in words: part of every message about a wrong one."""
    reason: str
    severity: Severity = "block"
    scope: Scope = "row"
    feature: str | None = None


_TYPES = {
    "series": "TEXT",
    "ts": "TIMESTAMP WITH TIME ZONE",
    "fetch_id": "BIGINT",
    "reading": "INTEGER",
    "fetched_at": "TIMESTAMP WITH TIME ZONE",
    "available_at": "TIMESTAMP WITH TIME ZONE",
    "available_basis": "TEXT",
    "is_provisional": "BOOLEAN",
}
"""Of the columns that every table has; the numbers of a source are checked as they are loaded."""

# Of each fetch once, for a table has thousands of its rows.
_OUT_OF_ORDER = """
select fetch_id, fetched_at, before
from (
  select fetch_id, fetched_at, lag(fetched_at) over (order by fetch_id) as before
  from (select distinct fetch_id, fetched_at from {batch}) as fetches
) as ordered
where fetched_at < before - interval '1 hour'"""
_FALLING = """
select series, ts, {column}, before
from (
  select series, ts, {column}, lag({column}) over (partition by series order by ts, fetch_id, reading) as before
  from {{batch}}
) as ordered
where {column} < before"""


def candidate_rules(catalog: Catalog) -> Iterator[Rule]:
    """The rules of `features.candidates`."""
    yield from _shape_of_candidates()
    yield Rule(
        "known_feature",
        "expect_column_values_to_be_in_set",
        {"column": "feature_id", "value_set": sorted(catalog.features)},
        expected="a feature of the catalog",
        reason="a point of a feature nobody described has no unit, no range and no owner",
    )
    yield Rule(
        "not_in_the_future",
        "expect_column_values_to_be_between",
        # The store's own clock at the time of judging.
        {"column": "available_at", "max_value": {"$PARAMETER": "now"}},
        expected="available_at not later than the store's now",
        reason="nothing is known before its source could serve it: a later instant means a wrong release rule",
    )
    yield Rule(
        "confidence_is_a_share",
        "expect_column_values_to_be_between",
        {"column": "confidence", "min_value": 0.0, "max_value": 1.0},
        expected="confidence from 0 to 1",
        reason="confidence is a share by definition",
    )
    yield _one_of("available_basis", BASES, "readers decide by it what was known when")
    yield _one_of("grain", GRAINS, "it decides the partition")
    for column in _ALWAYS_KNOWN:
        yield _not_null(column, "row", "only a value may be missing: that is how a source withdraws it")
    for feature in catalog.features.values():
        if feature.quality.expected_range[0] >= 0:
            yield _sign(feature)
        yield _expected_range(feature)


def change_rules(catalog: Catalog) -> Iterator[Rule]:
    """The rules of `quality.candidate_changes`."""
    for feature in catalog.features.values():
        if feature.quality.jump is not None:
            yield from _jumps(feature, feature.quality.jump)
        yield Rule(
            "outlier",
            "expect_column_values_to_be_between",
            {"column": "score", "max_value": 1.0, "row_condition": _of(feature)},
            expected="a change within 10 robust standard deviations, or twice the 99th percentile, of the 250 before",
            reason="at most 0.5 % of the points of any real history lie beyond, and a slip of a digit does",
            severity="warn",
            feature=feature.id,
        )
        if feature.quality.repeats is not None:
            yield from _repetitions(feature, feature.quality.repeats)


def raw_rules(catalog: Catalog, table: RawTable) -> Iterator[Rule]:
    """The rules of a raw table."""
    yield _columns(table.columns, "connector and migrations must mean the same table")
    for column in table.required:
        yield _not_null(column, "table", "the loader knows it of every row")
    for column in table.columns:
        if column in _TYPES:
            yield _of_type(column, _TYPES[column])
    yield _unique(table.key, "a row added twice would look like two versions")
    yield Rule(
        "fetched_in_order",
        "unexpected_rows_expectation",
        {"unexpected_rows_query": _OUT_OF_ORDER},
        expected="later fetches with later instants, give or take an hour",
        reason="what is a correction of what depends on it; two runs at once may land in the other order",
        severity="warn",
        scope="table",
    )
    if table.never_falls is not None:
        yield Rule(
            "never_falls",
            "unexpected_rows_expectation",
            {"unexpected_rows_query": _FALLING.format(column=table.never_falls)},
            expected=f"{table.never_falls} that never falls with time",
            reason="what has been mined stays mined",
            severity="warn",
            scope="table",
        )
    yield _known_feature(catalog) if table.name == PUBLISH_TABLE else _known_series(catalog, table)
    yield _one_of("available_basis", BASES, "readers decide by it what was known when", severity="warn")
    yield Rule(
        "not_available_after_it_was_fetched",
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "fetched_at", "column_B": "available_at", "or_equal": True},
        expected="available_at not later than fetched_at",
        reason="what we hold has been available: a later instant means a wrong release rule",
        severity="warn",
    )
    yield Rule(
        "not_fetched_in_the_future",
        "expect_column_values_to_be_between",
        {"column": "fetched_at", "max_value": {"$PARAMETER": "now"}},
        expected="fetched_at not later than the store's now",
        reason="the clock never moves back",
        severity="warn",
    )


def _known_series(catalog: Catalog, table: RawTable) -> Rule:
    return Rule(
        "known_series",
        "expect_column_values_to_be_in_set",
        {"column": "series", "value_set": sorted(series.name for series in catalog.series(table.slug, table.stream))},
        expected="a series of the catalog",
        reason="rows of a series that has left the catalog stay, and feed nothing",
        severity="warn",
    )


def _known_feature(catalog: Catalog) -> Rule:
    return Rule(
        "known_feature",
        "expect_column_values_to_be_in_set",
        {
            "column": "feature_id",
            "value_set": sorted(feature.id for feature in catalog.features.values() if not feature.is_derived),
        },
        expected="a feature of the catalog that is not computed",
        reason="points of a feature that has left the catalog stay, and feed nothing",
        severity="warn",
    )


def _shape_of_candidates() -> Iterator[Rule]:
    yield _columns(_CANDIDATE_COLUMNS, "the writer appends exactly these columns")
    for column in KEY:
        yield _not_null(column, "table", "a version without its whole key cannot be told from another")
    yield _unique(KEY, "the writer could not tell which of two to append")


def _columns(names: tuple[str, ...], reason: str) -> Rule:
    return Rule(
        "columns",
        "expect_table_columns_to_match_set",
        {"column_set": sorted(names)},
        expected=f"the columns {', '.join(names)}",
        reason=reason,
        scope="table",
    )


def _unique(key: tuple[str, ...], reason: str) -> Rule:
    return Rule(
        "unique_key",
        "expect_compound_columns_to_be_unique",
        {"column_list": list(key)},
        expected=f"one row per ({', '.join(key)})",
        reason=reason,
        scope="table",
    )


def _not_null(column: str, scope: Scope, reason: str) -> Rule:
    return Rule(
        f"{column}_is_known",
        "expect_column_values_to_not_be_null",
        {"column": column},
        expected=f"{column} in every row",
        reason=reason,
        scope=scope,
    )


def _of_type(column: str, kind: str) -> Rule:
    return Rule(
        f"{column}_has_its_type",
        "expect_column_values_to_be_of_type",
        {"column": column, "type_": kind},
        expected=f"{column} of type {kind}",
        reason="connector, migrations and dbt must mean the same by it",
        scope="table",
    )


def _one_of(column: str, allowed: tuple[str, ...], reason: str, severity: Severity = "block") -> Rule:
    return Rule(
        f"known_{column}",
        "expect_column_values_to_be_in_set",
        {"column": column, "value_set": list(allowed)},
        expected=f"{column} one of {', '.join(allowed)}",
        reason=reason,
        severity=severity,
    )


def _sign(feature: FeatureSpec) -> Rule:
    return Rule(
        "sign",
        "expect_column_values_to_be_between",
        {"column": "value", "min_value": 0.0, "row_condition": _of(feature)},
        expected=f"no negative number of {feature.unit}",
        reason="there cannot be less than none of it: the source, or whoever read it, turned the sign",
        feature=feature.id,
    )


def _expected_range(feature: FeatureSpec) -> Rule:
    low, high = feature.quality.expected_range
    return Rule(
        "expected_range",
        "expect_column_values_to_be_between",
        {"column": "value", "min_value": low, "max_value": high, "row_condition": _of(feature)},
        expected=f"value from {low:.10g} to {high:.10g} {feature.unit}",
        reason="quality.expected_range of the catalog: outside it lies a wrong unit, scale or sign",
        feature=feature.id,
    )


def _jumps(feature: FeatureSpec, jump: Jump) -> Iterator[Rule]:
    far = f"{jump.factor:.10g} times or a {jump.factor:.10g}th" if jump.factor else f"{jump.amount:.10g} {feature.unit}"
    if jump.factor:
        yield Rule(
            "unit",
            "expect_column_values_to_be_null",
            {"column": "unit_power", "row_condition": _of(feature)},
            expected=f"a value in {feature.unit}, as those before it",
            reason="a jump by a hundred, a thousand, a million is another unit before it is anything else",
            feature=feature.id,
        )
    yield Rule(
        "jump",
        "expect_column_values_to_be_between",
        {"column": "distance", "max_value": jump.factor or jump.amount, "row_condition": _of(feature)},
        expected=f"a value at most {far} from the one before or the median of five before",
        reason="quality.jump of the catalog, beyond every move of the real history we know",
        feature=feature.id,
    )


def _repetitions(feature: FeatureSpec, most: int) -> Iterator[Rule]:
    """Of a run of equal values the one that makes it too long, so that a long one is told of once."""
    if most == 1:
        yield _not_so_often("duplicate", feature, 2, "its value moves with every point: what comes twice is a copy")
    reason = "quality.repeats of the catalog, the longest run of its real history: beyond it the source is frozen"
    yield _not_so_often("flat_line", feature, max(most + 1, 3), reason)


def _not_so_often(name: str, feature: FeatureSpec, times: int, reason: str) -> Rule:
    return Rule(
        name,
        "expect_column_values_to_not_be_in_set",
        {"column": "repeats", "value_set": [times], "row_condition": _of(feature)},
        expected=f"the same value fewer than {times} times in a row",
        reason=reason,
        severity="warn",
        feature=feature.id,
    )


def _of(feature: FeatureSpec) -> dict[str, Any]:
    """The rows of a feature, as Great Expectations writes a condition."""
    return {
        "type": "comparison",
        "column": {"name": "feature_id"},
        "operator": "==",
        "parameter": feature.id,
    }
