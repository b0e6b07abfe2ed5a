"""The Great Expectations project at run time: opened for a catalog and a database, its suites run.

Great Expectations is imported in functions: it takes seconds, and most of this package does without it.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from feature_store.catalog import Catalog
from feature_store.quality.raw_tables import KEY, RAW_TABLES
from feature_store.quality.results import id_of, meta_of, plain
from feature_store.quality.rules import CANDIDATES, CHANGES, Severity
from feature_store.quality.suites import CONFIG, PROJECT, drifted, raw_suite, write_suites

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.data_context.data_context.file_data_context import FileDataContext
    from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
    from great_expectations.datasource.fluent.interfaces import Batch


BESIDE = ("value", "value_before", "low", "high", "score")
"""What Data Docs and reasons tell of a candidate that changed oddly, besides its key."""


@dataclass(frozen=True)
class _Place:
    """Where the table of a suite is found in the project, and what is told of a failing row: its key, and more."""

    datasource: str
    asset: str
    told: tuple[str, ...]


_PLACES = {
    CANDIDATES: _Place("features", CANDIDATES, KEY),
    CHANGES: _Place("quality", CHANGES, (*KEY, *BESIDE)),
    **{raw_suite(table.name): _Place("raw", table.name, table.key) for table in RAW_TABLES},
}

EXAMPLES = 20
"""Failing rows whose keys are shown in Data Docs, for each rule; raw.rejects holds all."""


@dataclass(frozen=True)
class Failing:
    """A row that breaks a rule."""

    rule: str
    feature_id: str
    version: int
    ts: datetime
    available_at: datetime
    severity: Severity
    column: str
    observed: object
    expected: str
    beside: Mapping[str, Any]
    """What the rules about change tell besides: value, value_before, low, high, score; empty for the others."""

    @property
    def reason(self) -> str:
        """What was observed and what was expected."""
        return f"{self._observed()}; expected {self.expected}"

    def _observed(self) -> str:
        if not self.beside:
            return f"{self.column} is {plain(self.observed)}"
        value, before, low, high = (self.beside[name] for name in ("value", "value_before", "low", "high"))
        if self.column == "repeats":
            return f"value is {plain(value)}, {self.observed} times in a row"
        power = f", 10^{self.observed} times what it was" if self.column == "unit_power" else ""
        band = "" if low is None else f"; a usual one lies from {plain(low)} to {plain(high)}"
        return f"value is {plain(value)}{power}, after {plain(before)}{band}"


@contextmanager
def opened(catalog: Catalog, home: Path, dsn: str | None = None) -> Iterator["FileDataContext"]:
    """The project, with the suites of this catalog; without a DSN it can build docs but not judge.

    The connection string lives in memory only: files know it as a variable's name.
    """
    import great_expectations as gx

    _teach_types()
    folder = PROJECT if not drifted(catalog) else _own_project(catalog, home)
    (home / "quality").mkdir(parents=True, exist_ok=True)
    context = gx.get_context(
        mode="file",
        context_root_dir=folder,
        runtime_environment={
            "FEATURE_STORE_HOME": str(home),
            "FEATURE_STORE_GX_DSN": _url(dsn) if dsn else "postgresql+psycopg://",
        },
    )
    try:
        yield context
    finally:
        if dsn:
            # An idle connection would keep dbt from replacing the table.
            for source in context.data_sources.all().values():
                source.get_execution_engine().close()


def run_suite(
    context: "FileDataContext", suite_name: str, now: datetime, features: Iterable[str]
) -> "ExpectationSuiteValidationResult":
    """Run a suite over its whole table; of the rules for single features only those of `features`."""
    suite = context.suites.get(suite_name)
    present = {None, *features}
    chosen = [e for e in suite.expectations if (e.meta or {}).get("feature") in present]
    return _validate(context, suite_name, chosen, now, EXAMPLES)


def failing_rows(
    context: "FileDataContext",
    suite_name: str,
    now: datetime,
    failed: Sequence["ExpectationValidationResult"],
) -> list[Failing]:
    """All rows that break the row-level rules that failed.

    The first run gives the keys of a few rows only, and the query it offers for the rest leaves out the row
    condition: so the failed rules run again, and say all keys.
    """
    most = max((int(result.result["unexpected_count"]) for result in failed), default=0)
    if most == 0:
        return []
    wanted = {id_of(result) for result in failed}
    chosen = [e for e in context.suites.get(suite_name).expectations if e.id in wanted]
    again = _validate(context, suite_name, chosen, now, most)
    return [row for result in again.results for row in _rows(suite_name, result)]


def keep_result(
    context: "FileDataContext", result: "ExpectationSuiteValidationResult", run_id: str, now: datetime
) -> "ValidationResultIdentifier":
    """Store a result where Data Docs find it, under the run's name."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    # The name becomes a folder and a link.
    run = RunIdentifier(run_name=re.sub(r"[^\w.+-]", "-", run_id), run_time=now)
    result.meta["run_id"] = run
    result.meta["validation_time"] = run.run_time
    suite = ExpectationSuiteIdentifier(name=result.suite_name)
    key = ValidationResultIdentifier(batch_identifier=result.batch_id, expectation_suite_identifier=suite, run_id=run)
    context.validation_results_store.store_validation_results(
        suite_validation_result=result,
        suite_validation_result_identifier=key,
        expectation_suite_identifier=suite,
    )
    return key


def _validate(
    context: "FileDataContext", suite_name: str, expectations: Sequence[Any], now: datetime, examples: int
) -> "ExpectationSuiteValidationResult":
    import great_expectations as gx

    place = _PLACES[suite_name]
    asset = context.data_sources.get(place.datasource).get_asset(place.asset)
    batch: Batch = asset.get_batch_definition("all").get_batch()
    result_format: dict[str, Any] = {
        "result_format": "COMPLETE",
        "partial_unexpected_count": examples,
        "unexpected_index_column_names": list(place.told),
        "return_unexpected_index_query": False,
    }
    suite = gx.ExpectationSuite(name=suite_name, expectations=[e.configuration for e in expectations])
    return batch.validate(suite, result_format=result_format, expectation_parameters={"now": now})


def _rows(suite_name: str, result: "ExpectationValidationResult") -> Iterator[Failing]:
    meta = meta_of(result)
    assert result.expectation_config is not None
    column = str(result.expectation_config.kwargs["column"])
    for row in result.result["unexpected_index_list"]:
        yield Failing(
            rule=meta["rule"],
            feature_id=row["feature_id"],
            version=row["version"],
            ts=row["ts"],
            available_at=row["available_at"],
            severity=meta["severity"],
            column=column,
            observed=row[column],
            expected=meta["expected"],
            beside={name: row[name] for name in BESIDE if name in row and suite_name == CHANGES},
        )


def _teach_types() -> None:
    """SQLAlchemy knows no xid8, and a table with a column of an unknown type cannot be described."""
    from sqlalchemy.dialects.postgresql import BIGINT
    from sqlalchemy.dialects.postgresql.base import ischema_names

    ischema_names.setdefault("xid8", BIGINT)


def _own_project(catalog: Catalog, home: Path) -> Path:
    """Another catalog than the committed one has suites of its own, in the state directory."""
    folder = home / "quality" / "project"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / CONFIG, folder / CONFIG)
    write_suites(catalog, folder)
    return folder


def _url(dsn: str) -> str:
    """A libpq connection string as SQLAlchemy's URL."""
    from sqlalchemy import URL

    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    parts.pop("options", None)  # the project sets the time zone
    host = parts.pop("host", None)
    port = parts.pop("port", None)
    if host and host.startswith("/"):
        parts["host"], host = host, None
    url = URL.create(
        "postgresql+psycopg",
        username=parts.pop("user", None),
        password=parts.pop("password", None),
        host=host,
        port=int(port) if port else None,
        database=parts.pop("dbname", None),
        query=parts,
    )
    return url.render_as_string(hide_password=False)
