"""Whatever was told, corrected, withdrawn, retired and brought back: every answer follows from the definitions."""

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from feature_store.serving import QueryLayer, backfilled_share

from .conftest import FreshStore
from .store import KINDS, Question, Store, Told, Version, catalog_of

FEATURES = 5
"""Of each kind; each has a history of its own."""

FIRST = datetime(2024, 3, 26, tzinfo=UTC)
"""Good Friday, on which the NYSE is closed, is 29 March; on the 31st a month ends."""
TS = {
    "minute": [FIRST + timedelta(days=day, minutes=minute) for day in range(8) for minute in (0, 1, 1439)],
    "instant": [FIRST + timedelta(days=day, seconds=second) for day in range(8) for second in (0, 7, 86_399)],
    "session": [FIRST + timedelta(days=day) for day in range(8)],
}
BATCHES = [FIRST + timedelta(days=days, hours=5) for days in (9, 11, 15)]
END = FIRST + timedelta(days=20)

SETTINGS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],  # a seed that fails gets no simpler by being smaller
}


@settings(max_examples=3, **SETTINGS)
@given(seed=st.integers(0, 2**32))
def test_every_answer_is_that_of_the_definitions(fresh_store: FreshStore, seed: int) -> None:
    live_and_ask(fresh_store, random.Random(seed))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=60, **SETTINGS)
@given(seed=st.integers(0, 2**32))
def test_every_answer_of_many_stores_is_that_of_the_definitions(fresh_store: FreshStore, seed: int) -> None:
    live_and_ask(fresh_store, random.Random(seed))


def live_and_ask(fresh_store: FreshStore, rng: random.Random) -> None:
    """Histories of many features, retention at random cut-offs in between, then questions of every kind."""
    with fresh_store(catalog_of(FEATURES)) as store:
        for now in BATCHES:
            store.append(told(rng, store, now), now)
            if rng.random() < 0.6:
                store.retire(now + timedelta(hours=1), rng.randint(1, 12))
            if rng.random() < 0.3:
                store.restore(rng.choice(TS["minute"]).date())
        ask_points(store, rng)
        ask_spines(store, rng)


def told(rng: random.Random, store: Store, now: datetime) -> list[Told]:
    """A few candidates of each feature: first values, revisions, corrections, withdrawals, a new definition."""
    found = {}
    for feature in store.catalog.features:
        of_kind = TS[feature.removeprefix("t/").partition("_")[0]]
        for _ in range(rng.randint(0, 12)):
            ts = rng.choice(of_kind)
            available_at = rng.choice([now, ts + timedelta(days=1), ts + timedelta(days=2), BATCHES[0]])
            item = Told(
                feature,
                ts,
                rng.choice([None, 1.0, 2.0, 3.0]),
                min(available_at, now),
                rng.choice(["schedule", "schedule", "backfilled", "ingested"]),
                rng.choice([1, 1, 1, 2]) if now == BATCHES[2] else 1,
            )
            found[feature, item.version, ts, item.available_at] = item
    return list(found.values())


def moment(rng: random.Random) -> datetime:
    """Any instant, often just one at which something happened."""
    edge = rng.choice([*BATCHES, *TS["minute"], *(ts + timedelta(days=1) for ts in TS["session"])])
    return rng.choice([edge, edge - timedelta(microseconds=1), FIRST + timedelta(seconds=rng.randint(0, 20 * 86_400))])


def question(rng: random.Random) -> Question:
    return Question(rng.choice([None, moment(rng)]), rng.choice([None, moment(rng)]), rng.random() < 0.5)


def ask_points(store: Store, rng: random.Random) -> None:
    layer, features = QueryLayer(store.settings, store.catalog), list(store.catalog.features)
    for _ in range(6):
        asked = question(rng)
        since, until = sorted([moment(rng), moment(rng)])
        some = rng.sample(features, 4)
        state = {"as_of": asked.known_at, "as_stored": asked.stored_at, "strict": asked.strict}
        for vintage in ("latest", "first", "all"):
            answer = layer.query(some, since, until, **state, vintage=vintage)
            expected = [
                version
                for feature in some
                for version in of_vintage(store.truth.of(feature, asked), vintage)
                if since <= version.ts < until
            ]
            assert rows(answer) == expected, (asked, vintage)
            backfilled = sum(version.available_basis == "backfilled" for version in expected)
            assert backfilled_share(answer) == (backfilled / len(expected) if expected else 0)
        feature = some[0]
        everything = sorted(
            (version for version in store.truth.versions if version.feature_id == feature),
            key=lambda version: (version.version, version.ts, version.available_at, version.ingested_at),
        )
        assert rows(layer.revisions(feature)) == everything


def of_vintage(found: dict[datetime, list[Version]], vintage: str) -> list[Version]:
    if vintage == "all":
        return [version for versions in found.values() for version in versions]
    if vintage == "latest":
        return [versions[-1] for versions in found.values() if versions[-1].value is not None]
    known = ([version for version in versions if version.value is not None] for versions in found.values())
    return [versions[0] for versions in known if versions]


def rows(answer: pa.Table) -> list[Version]:
    return [Version(**row) for row in answer.select(list(Version.__dataclass_fields__)).to_pylist()]


def ask_spines(store: Store, rng: random.Random) -> None:
    layer, features = QueryLayer(store.settings, store.catalog), list(store.catalog.features)
    for _ in range(6):
        asked = question(rng)
        instants = [(moment(rng), rng.choice([None, None, moment(rng)])) for _ in range(30)]
        spine = pa.table(
            {
                "at": pa.array([at for at, _ in instants], pa.timestamp("us", "UTC")),
                "as_of": pa.array([as_of for _, as_of in instants], pa.timestamp("us", "UTC")),
                "row": range(len(instants)),
            }
        )
        max_age = rng.choice([None, timedelta(hours=20), timedelta(days=3)])
        answer = layer.historical(
            spine, features, as_stored=asked.stored_at, strict=asked.strict, max_age=max_age, detail=True
        )
        assert answer["row"].to_pylist() == list(range(len(instants)))
        for feature in features:
            found = [
                store.truth.newest(feature, at, Question(as_of or at, asked.stored_at, asked.strict), max_age)
                for at, as_of in instants
            ]
            for name, expected in {
                "": [version and version.value for version in found],
                ".ts": [version and version.ts for version in found],
                ".valid_at": [version and store.truth.valid_at(feature, version.ts) for version in found],
                ".basis": [version and version.available_basis for version in found],
            }.items():
                assert answer[feature + name].to_pylist() == expected, (feature, name, asked, max_age)
            known = [version for version in found if version is not None]
            late = sum(version.available_basis == "backfilled" for version in known)
            assert backfilled_share(answer)[feature] == (late / len(known) if known else 0)


def test_every_kind_of_feature_is_asked() -> None:
    kinds = {feature.partition("_")[0] for feature in catalog_of(1).features}
    assert kinds == {f"t/{kind}" for kind in KINDS}
