"""A store with random histories for a test of the query layer, and what is true of them in plain Python."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import psycopg

from feature_store import clock
from feature_store.archive import export, restore, retire
from feature_store.catalog import Catalog, FeatureSpec, load_catalog
from feature_store.catalog.calendars import sessions
from feature_store.settings import Settings

KINDS = {
    "minute": "crypto/btc/price_usd",  # of a minute that starts at ts
    "instant": "onchain/eth/gas_price_gwei",
    "session": "macro/us/vix_index",
}
COLUMNS = """feature_id text, version int, grain text, ts timestamptz, value double precision, available_at timestamptz,
  available_basis text, is_provisional boolean, confidence double precision, meta jsonb, evidence jsonb"""


@dataclass(frozen=True)
class Told:
    """A candidate: a value, or None to withdraw, of a feature's definition version."""

    feature: str
    ts: datetime
    value: float | None
    available_at: datetime
    basis: str = "schedule"
    version: int = 1


@dataclass(frozen=True)
class Version:
    """A version as the store holds it."""

    feature_id: str
    version: int
    ts: datetime
    value: float | None
    available_at: datetime
    available_basis: str
    ingested_at: datetime


@dataclass(frozen=True)
class Question:
    """The state that is asked for."""

    known_at: datetime | None = None
    stored_at: datetime | None = None
    strict: bool = True

    def allows(self, version: Version) -> bool:
        is_late = self.strict and version.available_basis == "backfilled"
        available_at = version.ingested_at if is_late else version.available_at
        return (self.known_at is None or available_at <= self.known_at) and (
            self.stored_at is None or version.ingested_at <= self.stored_at
        )


class Truth:
    """Every version that was ever appended, and the answers that follow from the definitions alone."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.versions: set[Version] = set()

    def of(self, feature: str, question: Question = Question()) -> dict[datetime, list[Version]]:
        """By ts, oldest first: what a question allows of the newest definition that was stored by then."""
        stored = [
            version
            for version in self.versions
            if version.feature_id == feature
            and (question.stored_at is None or version.ingested_at <= question.stored_at)
        ]
        newest = max((version.version for version in stored), default=0)
        found: dict[datetime, list[Version]] = {}
        for version in stored:
            if version.version == newest and question.allows(version):
                found.setdefault(version.ts, []).append(version)
        for versions in found.values():
            versions.sort(key=lambda version: (version.available_at, version.ingested_at))
        return dict(sorted(found.items()))

    def state(self, feature: str, question: Question) -> list[Version]:
        """The newest version of each ts, where it was not withdrawn."""
        newest = [versions[-1] for versions in self.of(feature, question).values()]
        return [version for version in newest if version.value is not None]

    def newest(
        self, feature: str, at: datetime, question: Question, max_age: timedelta | None = None
    ) -> Version | None:
        """What a row of a spine finds."""
        valid = [version for version in self.state(feature, question) if self.valid_at(feature, version.ts) <= at]
        found = max(valid, key=lambda version: version.ts, default=None)
        if found is None or (max_age is not None and self.age(feature, found.ts, at) > max_age):
            return None
        return found

    def valid_at(self, feature: str, ts: datetime) -> datetime:
        spec = self._catalog.features[feature]
        if spec.label != "start":
            return ts
        if spec.period == "session":
            return sessions(spec.calendar, ts.date() - timedelta(days=10), ts.date())[-1].close_at
        assert spec.period == "PT1M"
        return ts + timedelta(minutes=1)

    def age(self, feature: str, ts: datetime, at: datetime) -> timedelta:
        """Time since it was valid, hour by hour of days on which its calendar is open."""
        spec, since = self._catalog.features[feature], self.valid_at(feature, ts)
        if spec.calendar == "24x7":
            return at - since
        open_days = {session.date for session in sessions(spec.calendar, since.date(), at.date())}
        age, moment = timedelta(0), since
        while moment < at:
            midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(days=1)
            if moment.date() in open_days:
                age += min(midnight, at) - moment
            moment = midnight
        return age


@dataclass(frozen=True)
class Store:
    """A store of features made up after KINDS, and the truth about it."""

    conn: psycopg.Connection
    settings: Settings
    catalog: Catalog
    truth: Truth

    def append(self, told: Sequence[Told], now: datetime) -> None:
        """Append through the one writer at a frozen instant; days that are retired come back first, as news has it."""
        clock.freeze(self.conn, now)
        days = {(item.feature, item.ts.date()) for item in told}
        restore(self.settings, days)
        self.conn.execute(f"create temp table batch ({COLUMNS}) on commit drop")
        with self.conn.cursor().copy("copy batch from stdin") as copy:
            for item in told:
                grain = self.catalog.features[item.feature].grain
                copy.write_row(
                    (item.feature, item.version, grain, item.ts, item.value, item.available_at, item.basis, False, 0.9,
                     json.dumps({}), json.dumps([]))
                )  # fmt: skip
        self.conn.execute("select features.append_versions('batch')")
        self.conn.commit()
        self._note(now)

    def retire(self, now: datetime, days: int) -> None:
        """Export, and retire what is older than so many days."""
        clock.freeze(self.conn, now)
        export(self.conn, self.settings)
        retire(self.conn, self.settings.model_copy(update={"retention_days": days}), self.catalog)

    def restore(self, day: date) -> None:
        """Bring a day of every feature back."""
        restore(self.settings, {(feature, day) for feature in self.catalog.features}, keep=True)

    def _note(self, since: datetime) -> None:
        rows = self.conn.execute(
            """select feature_id, version, ts, value, available_at, available_basis, ingested_at
               from features.features_versions where ingested_at >= %s""",
            (since,),
        ).fetchall()
        self.conn.commit()
        self.truth.versions |= {Version(*row) for row in rows}


def catalog_of(count: int) -> Catalog:
    """A catalog of `count` features of each kind: `t/minute_0`, ..."""
    shipped = load_catalog()
    features: dict[str, FeatureSpec] = {}
    for kind, name in KINDS.items():
        for number in range(count):
            feature_id = f"t/{kind}_{number}"
            features[feature_id] = shipped.feature(name).model_copy(update={"id": feature_id, "season": None})
    return replace(shipped, features=MappingProxyType(features))
