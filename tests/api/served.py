"""A store, points put into it by the one writer, and the API over it in a thread: real sockets, real keys."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any

import httpx
import psycopg
import uvicorn
import zstandard

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.sync import sync
from feature_store.quality.assessments import Assessment, assess
from feature_store.serving import QueryLayer
from feature_store.serving.api.app import create_app
from feature_store.serving.api.keyring import Keyring
from feature_store.serving.api.server import options
from feature_store.serving.keys import create_key
from feature_store.settings import Settings
from feature_store.stack.ports import free_port

PRICE, GAS, VIX, LIQUIDITY = (
    "crypto/btc/price_usd", "onchain/eth/gas_price_gwei", "macro/us/vix_index", "macro/us/net_liquidity_usd",
)  # fmt: skip
NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
"""A Monday, at which the clock stands when the store is made."""
ANSWER = b'{"bitcoin": 67512.1}'

_COLUMNS = """feature_id text, version int, grain text, ts timestamptz, value double precision,
  available_at timestamptz, available_basis text, is_provisional boolean,
  confidence double precision, meta jsonb, evidence jsonb"""


@dataclass(frozen=True)
class Told:
    """A candidate; a value of None withdraws."""

    feature: str
    ts: datetime
    value: float | None
    available_at: datetime
    basis: str = "schedule"
    meta: str = "{}"
    evidence: str = "[]"
    version: int = 1


@dataclass(frozen=True)
class Served:
    """A store and its API."""

    conn: psycopg.Connection
    settings: Settings
    catalog: Catalog
    url: str
    key: str
    server: uvicorn.Server

    @property
    def layer(self) -> QueryLayer:
        """The query layer over the same store."""
        return QueryLayer(self.settings, self.catalog)

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """Asks the API with a key: its own, or none for an empty one."""
        token = self.key if key is None else key
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}
        return httpx.Client(base_url=self.url, headers=sent, timeout=None, trust_env=False)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """An answer to the key of the store."""
        with self.client() as client:
            return client.get(path, params=parameters)

    def key_with(self, *scopes: str, **more: Any) -> str:
        """A new key."""
        made = create_key(self.conn, "a test", scopes, **more)
        self.conn.commit()
        return made.token

    def append(self, told: Sequence[Told], now: datetime | None = None) -> None:
        """Append through the one writer, at a frozen instant if one is given."""
        if now is not None:
            clock.freeze(self.conn, now)
        self.conn.execute(f"create temp table batch ({_COLUMNS}) on commit drop")
        with self.conn.cursor().copy("copy batch from stdin") as copy:
            for item in told:
                grain = self.catalog.features[item.feature].grain
                copy.write_row(
                    (item.feature, item.version, grain, item.ts, item.value, item.available_at, item.basis, False, 0.9,
                     item.meta, item.evidence)
                )  # fmt: skip
        self.conn.execute("select features.append_versions('batch')")
        self.conn.commit()

    def assess(self, feature: str, ts: datetime, confidence: float) -> None:
        """Assess the newest version of a point."""
        key = self.conn.execute(
            """select feature_id, version, ts, available_at, ingested_at from features.features_versions
               where feature_id = %s and ts = %s order by available_at desc, ingested_at desc limit 1""",
            (feature, ts),
        ).fetchone()
        assert key is not None
        assess(self.conn, "a test", [Assessment(*key, confidence, {"agreement": 0.5})])
        self.conn.commit()

    def land(self, content: bytes = ANSWER, content_type: str = "application/json") -> int:
        """Bytes of an answer as they land; returns the number of their fetch."""
        digest = sha256(content).hexdigest()
        self.conn.execute(
            """insert into raw.payloads (sha256, content, size_bytes) values (%s, %s, %s)
               on conflict do nothing""",
            (digest, zstandard.compress(content), len(content)),
        )
        row = self.conn.execute(
            """insert into raw.fetches (source, stream, endpoint, url, status, content_type, sha256, fetched_at)
               values ('binance', 'klines', 'klines', 'https://api.binance.com/api/v3/klines', 200, %s, %s, ops.now())
               returning fetch_id""",
            (content_type, digest),
        ).fetchone()
        self.conn.commit()
        assert row is not None
        return int(row[0])

    def fill(self) -> None:
        """Minutes of a price with a revision and a withdrawal, sessions of VIX, and a derived value."""
        clock.freeze(self.conn, NOW)
        evidence = json.dumps([{"fetch": self.land()}])
        start = NOW - timedelta(hours=2)
        minutes = [start + timedelta(minutes=minute) for minute in range(60)]
        self.append(
            [
                Told(
                    PRICE,
                    ts,
                    67_000.1 + number,
                    ts + timedelta(minutes=1),
                    evidence=evidence,
                    meta='{"note": "a, \\"b\\""}',
                )
                for number, ts in enumerate(minutes)
            ]
        )
        days = [datetime(2024, 5, day, tzinfo=UTC) for day in (28, 29, 30, 31)]
        backfilled = [Told(VIX, day, 13.5, day + timedelta(days=1), "backfilled") for day in days]
        vix = {"feature": VIX, "ts": days[1].isoformat(), "version": 1}
        inputs = json.dumps([{**vix, "available_at": (days[1] + timedelta(days=1)).isoformat()}])
        self.append(backfilled)
        self.append([Told(LIQUIDITY, days[1], 5.8e12, days[2], evidence=inputs)])
        self.append([Told(PRICE, minutes[5], 1.5, NOW), Told(PRICE, minutes[7], None, NOW)])


@contextmanager
def served(conn: psycopg.Connection, settings: Settings, catalog: Catalog) -> Iterator[Served]:
    """The API over a store, for as long as the block lasts."""
    sync(conn, catalog)
    conn.commit()
    key = create_key(conn, "tests", ["read"], rate_limit_rpm=0).token
    conn.commit()
    port = free_port()
    app = create_app(settings, catalog, Keyring(settings))
    server = uvicorn.Server(uvicorn.Config(app, port=port, **options(settings)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    store = Served(conn, settings, catalog, f"http://127.0.0.1:{port}", key, server)
    try:
        until(lambda: server.started, "the API starts")
        yield store
    finally:
        server.should_exit = True
        thread.join(20)


def until(holds: Any, what: str, seconds: float = 60) -> Any:
    """Ask again and again until something holds; returns it."""
    deadline = monotonic() + seconds
    while not (found := holds()):
        assert monotonic() < deadline, f"waited in vain: {what}"
        threading.Event().wait(0.005)
    return found
