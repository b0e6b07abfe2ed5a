"""Seconds of the point-in-time join: 100,000 rows and 10 features of 876,000 points; and of DuckDB's ASOF join.

DuckDB joins by available_at alone: it gives what became available last, were it the revision of an old point. So both
must agree wherever that was a point's first version. It has both cores, its best order of rows, and ids as an enum;
the steps have one core.
"""

import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feature_store.catalog import load_catalog
from feature_store.serving.steps import Steps
from feature_store.serving.timing import Instants
from feature_store.warehouse.versions import INSTANT

FEATURE = "crypto/btc/price_usd"  # minutes, labelled by their start
FEATURES, POINTS, ROWS = 10, 876_000, 100_000
REVISED = 0.01
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
FIRST = 1_700_000_000 * SECOND

JOIN = """
select spine.n, known.value from spine asof left join
  (select available_at, value from known where feature_id = 'f{nth}') as known on spine.asked_at >= known.available_at
"""
JOIN_ALL = """
select asked.n, asked.feature_id, known.value
from (select * from spine, (select distinct feature_id from known)) as asked
asof left join known on asked.feature_id = known.feature_id and asked.asked_at >= known.available_at
"""

Values = list[npt.NDArray[np.float64]]
T = TypeVar("T")


def main() -> None:
    """Print a line for each figure; fails where values differ that should be the same."""
    random = np.random.default_rng(7)
    histories = [history(random) for _ in range(FEATURES)]
    values = [versions["value"].to_numpy() for versions in histories]
    at = random.integers(FIRST, FIRST + POINTS * MINUTE, ROWS)

    feature = load_catalog().feature(FEATURE)
    started = perf_counter()
    steps = [Steps.of(feature, versions) for versions in histories]
    say(f"building the steps of {sum(map(len, histories)):,} versions", perf_counter() - started)
    for title, known_at in {"": at, ", as of an hour before": at - HOUR, ", as of one instant": at * 0 + at[0]}.items():
        say(f"joining with them{title}", timed(lambda k=known_at: join(steps, values, at, k))[0])

    ours, joined = timed(lambda: join(steps, values, at, at))
    with duckdb.connect() as store:
        fill(store, histories, at)
        each, theirs = timed(lambda: [store.sql(JOIN.format(nth=nth)).to_arrow_table() for nth in range(FEATURES)])
        at_once, _ = timed(lambda: store.sql(JOIN_ALL).to_arrow_table())
    say("DuckDB, a feature at a time", each)
    say("DuckDB, all features at once", at_once)
    compared = compare(histories, at, joined, theirs)
    sys.stdout.write(
        f"historical: {min(each, at_once) / ours:.1f} times as fast as DuckDB, "
        f"the same values in the {compared:.1%} of cells that mean the same\n"
    )


def history(random: np.random.Generator) -> pa.Table:
    """A year and a half of minutes, available seconds after they are over; some are revised within a day."""
    ts = FIRST + np.arange(POINTS) * MINUTE
    available_at = ts + MINUTE + random.integers(2, 8, POINTS) * SECOND
    revised = np.flatnonzero(random.random(POINTS) < REVISED)
    revised_at = available_at[revised] + random.integers(10 * MINUTE, DAY, len(revised))
    ts, available_at = np.concatenate((ts, ts[revised])), np.concatenate((available_at, revised_at))
    order = np.lexsort((available_at, ts))
    ts, available_at = (pa.array(column[order]).cast(INSTANT) for column in (ts, available_at))
    basis = pa.array(["schedule"]).take(pa.array(np.zeros(len(ts), np.int32)))
    columns = [ts, random.random(len(ts)), available_at, basis, available_at]
    return pa.table(columns, ["ts", "value", "available_at", "available_basis", "ingested_at"])


def join(steps: list[Steps], values: Values, at: Instants, known_at: Instants) -> Values:
    """A column for each feature, in the order of the spine."""
    order = np.argsort(at)
    at, known_at = at[order], known_at[order]
    columns = []
    for of_feature, held in zip(steps, values, strict=True):
        row = of_feature.newest(at, known_at)
        column = np.empty(len(at))
        column[order] = np.where(row >= 0, held[row], np.nan)
        columns.append(column)
    return columns


def fill(store: duckdb.DuckDBPyConnection, histories: list[pa.Table], at: Instants) -> None:
    """The spine, and the long table in the order in which it is joined."""
    spine = pa.table({"n": np.arange(len(at)), "asked_at": pa.array(at).cast(INSTANT)})
    names = [f"f{nth}" for nth in range(FEATURES)]
    store.register("given_spine", spine)
    store.execute("create table spine as select * from given_spine")
    store.execute(f"create type feature as enum ({', '.join(map(repr, names))})")
    store.execute("create table known (feature_id feature, available_at timestamptz, value double)")
    for name, versions in zip(names, histories, strict=True):
        store.register("given", versions)
        store.execute(f"insert into known select '{name}', available_at, value from given order by available_at")  # noqa: S608 - our own words


def compare(histories: list[pa.Table], at: Instants, ours: Values, theirs: list[pa.Table]) -> float:
    """The share of cells in which the last to become available was a first version; there both must be the same."""
    shares = []
    for versions, column, answered in zip(histories, ours, theirs, strict=True):
        ts, available_at = (versions[name].cast(pa.int64()).to_numpy() for name in ("ts", "available_at"))
        is_revision = np.concatenate(([False], ts[1:] == ts[:-1]))
        means_the_same = newest(available_at[~is_revision], at) > newest(available_at[is_revision], at)
        theirs_in_order = answered.sort_by("n")["value"].to_numpy()
        assert np.array_equal(column[means_the_same], theirs_in_order[means_the_same])
        shares.append(means_the_same.mean())
    return float(np.mean(shares))


def newest(instants: Instants, at: Instants) -> Instants:
    """The last of the instants up to each `at`; 0 where there is none."""
    ascending = np.concatenate(([0], np.sort(instants)))
    return ascending[np.searchsorted(ascending, at, side="right") - 1]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """The median seconds of five times, and what the last gave."""
    seconds = []
    for _ in range(5):
        started = perf_counter()
        done = work()
        seconds.append(perf_counter() - started)
    return statistics.median(seconds), done


def say(title: str, seconds: float) -> None:
    sys.stdout.write(f"historical, {ROWS:,} rows x {FEATURES} features, {title}: {seconds:.2f} s\n")


if __name__ == "__main__":
    main()
