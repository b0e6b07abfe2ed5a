"""Reconciliation: where two sources give one quantity, what each says of it, and whether they agree.

Neither is put right by the other: a feature stays what its own source says, and who reads `status` or
`quality.reconciliation` sees that one of the two is wrong. DTWEXBGS is no second source of DXY: it is another index.
"""

import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import psycopg
from psycopg import sql

from feature_store import clock
from feature_store.catalog import FeatureSpec

log = logging.getLogger(__name__)

DAYS = 10
"""How many UTC days back a run looks: longer than any of these sources takes to tell or to correct a day."""

Shape = Literal["as it is", "mean of the day", "mid of each venue"]

# Of every point the newest reading, once the source will not change it any more by design.
_NEWEST = """
select distinct on (ts) series, ts, {column} as value
from raw.{table}
where series = {series} and ts >= date_trunc('day', %(now)s, 'UTC') - %(days)s * interval '1 day' and not is_provisional
order by ts, available_at desc, fetch_id desc, reading desc
"""
_SHAPES: dict[Shape, str] = {
    "as it is": "select series, ts, value from ({newest}) as newest",
    # A day that is over, and of which nearly every minute is held: exchanges pause at times.
    "mean of the day": """
select series, date_trunc('day', ts, 'UTC') as ts, avg(value) as value
from ({newest}) as newest
where ts < date_trunc('day', %(now)s, 'UTC')
group by 1, 2
having count(value) >= 0.95 * 1440
""",
    "mid of each venue": """
select distinct on (1, 2)
  series || '/' || venue as series, date_trunc('minute', ts, 'UTC') as ts, (said ->> 'mid')::numeric as value
from ({newest}) as newest cross join lateral jsonb_each(value) as told (venue, said)
where said ? 'mid'
order by 1, 2, newest.ts desc
""",
}
_APPEND = """
with compared as (
  select ts, a.series as left_series, a.value as left_value, b.series as right_series, b.value as right_value
  from ({left}) as a inner join ({right}) as b using (ts)
  where a.value is not null and b.value is not null
)
insert into quality.reconciliation (
  run_id, checked_at, quantity, ts, left_source, left_stream, left_series, left_value,
  right_source, right_stream, right_series, right_value, difference, tolerance, agrees, reason
)
select
  %(run_id)s, %(now)s, %(quantity)s, ts, %(left_source)s, %(left_stream)s, left_series, left_value,
  %(right_source)s, %(right_stream)s, right_series, right_value,
  round(right_value / nullif(left_value, 0) - 1, 9), %(tolerance)s,
  abs(right_value - left_value) <= %(tolerance)s * abs(left_value), %(reason)s
from compared
where (left_value, right_value, %(tolerance)s::numeric) is distinct from (
  select (held.left_value, held.right_value, held.tolerance)
  from quality.reconciliation as held
  where
    (held.quantity, held.left_source, held.left_stream, held.left_series)
    = (%(quantity)s, %(left_source)s, %(left_stream)s, compared.left_series)
    and (held.right_source, held.right_stream, held.right_series, held.ts)
    = (%(right_source)s, %(right_stream)s, compared.right_series, compared.ts)
  order by held.reconciliation_id desc
  limit 1
)
returning agrees
"""


@dataclass(frozen=True)
class Side:
    """One source's number: a column of `raw.<slug>_<stream>`, and what is made of it."""

    slug: str
    stream: str
    series: str
    column: str
    shape: Shape = "as it is"

    def feeds(self, feature: FeatureSpec) -> bool:
        """Whether it is where the feature takes its number from."""
        told = (f"{self.slug}_{self.stream}", self.series, self.column)
        return told == (feature.source.schema_name, feature.series, feature.field or "value")

    def numbers(self) -> sql.Composed:
        """The query of (series, ts, value)."""
        newest = sql.SQL(_NEWEST).format(
            table=sql.Identifier(f"{self.slug}_{self.stream}"),
            column=sql.Identifier(self.column),
            series=sql.Literal(self.series),
        )
        return sql.SQL(_SHAPES[self.shape]).format(newest=newest)


@dataclass(frozen=True)
class Pair:
    """Two sources of one quantity; `tolerance` is a share of the left one's number."""

    quantity: str
    left: Side
    right: Side
    tolerance: Decimal
    reason: str


_MINUTES = Side("binance", "klines_1m", "BTCUSDT", "close")

PAIRS = (
    Pair(
        "S&P 500, close of the session",
        Side("tradingview", "history", "SP:SPX", "close"),
        Side("fred", "observations", "SP500", "value"),
        Decimal("0.001"),
        "both are the official close, to the cent: 0.1 % is a bar that was open, or another day's",
    ),
    Pair(
        "VIX, close of the session",
        Side("tradingview", "history", "CBOE:VIX", "close"),
        Side("fred", "observations", "VIXCLS", "value"),
        Decimal("0.001"),
        "both are CBOE's close to two decimals, of which the last is worth 0.1 % where the index is 10",
    ),
    Pair(
        "bitcoin, mean price of the UTC day",
        Side("binance", "klines_1m", "BTCUSDT", "close", "mean of the day"),
        Side("blockchain", "market_price", "market-price", "value"),
        Decimal("0.02"),
        "an average over other exchanges, of other instants: a usual day moves 2 to 3 % from end to end",
    ),
    Pair(
        "bitcoin, price of the minute",
        _MINUTES,
        Side("cex", "books", "BTC", "venues", "mid of each venue"),
        Decimal("0.01"),
        "up to a minute lies between the two, and between a dollar, a USDT and a USDC some tenths of a per cent",
    ),
)


@dataclass(frozen=True)
class Reconciled:
    """What a run compared that had not been compared before."""

    compared: int = 0
    disagreeing: int = 0


def reconcile(conn: psycopg.Connection, run_id: str = "manual") -> Reconciled:
    """Compare what both sources of each pair have of the newest days, and add to `quality.reconciliation` what is new.

    Nothing is raised when they disagree; it is logged, and `feature-store status` shows it. Commits.
    """
    now = clock.now(conn)
    total = Reconciled()
    for pair in PAIRS:
        found = [agrees for (agrees,) in _append(conn, pair, {"now": now, "days": DAYS, "run_id": run_id})]
        disagreeing = found.count(False)
        if disagreeing:
            log.warning("%s: %s of %s new comparisons disagree", pair.quantity, disagreeing, len(found))
        total = Reconciled(total.compared + len(found), total.disagreeing + disagreeing)
    conn.commit()
    return total


def _append(conn: psycopg.Connection, pair: Pair, run: dict[str, object]) -> list[tuple[bool]]:
    return conn.execute(
        sql.SQL(_APPEND).format(left=pair.left.numbers(), right=pair.right.numbers()),
        {
            **run,
            "quantity": pair.quantity,
            "tolerance": pair.tolerance,
            "reason": pair.reason,
            "left_source": pair.left.slug,
            "left_stream": pair.left.stream,
            "right_source": pair.right.slug,
            "right_stream": pair.right.stream,
        },
    ).fetchall()
