"""Whatever was assessed when, a reader as of T is told the last assessment up to T, wherever the version lies."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.quality.assessments import Assessment, assess
from feature_store.serving import QueryLayer
from feature_store.serving.shell import Shell

from .answers import of_postgres, of_shell
from .conftest import FreshStore
from .store import Question, Store, Version, catalog_of
from .test_query_properties import BATCHES, END, SETTINGS, moment, of_vintage, told

AT_INGEST = 0.9
"""Of all that a Store appends."""

Point = tuple[str, datetime, float | None, datetime, float]


@dataclass
class Thoughts:
    """What was thought of versions, and when."""

    of: dict[Version, list[tuple[datetime, float]]] = field(default_factory=dict)

    def confidence(self, version: Version, *instants: datetime | None) -> float:
        """The last one up to all of the instants."""
        known = [
            (assessed_at, confidence)
            for assessed_at, confidence in self.of.get(version, [])
            if all(at is None or assessed_at <= at for at in instants)
        ]
        return max(known, default=(None, AT_INGEST), key=lambda thought: thought[0])[1]

    def point(self, version: Version, *instants: datetime | None) -> Point:
        confidence = self.confidence(version, *instants)
        return version.feature_id, version.ts, version.value, version.ingested_at, confidence

    def edges(self) -> Iterator[datetime]:
        for thoughts in self.of.values():
            yield from (assessed_at for assessed_at, _ in thoughts)


@settings(max_examples=4, **SETTINGS)
@given(seed=st.integers(0, 2**32))
def test_the_confidence_of_an_answer_is_the_last_that_was_assessed_by_then(fresh_store: FreshStore, seed: int) -> None:
    rng = random.Random(seed)
    with fresh_store(catalog_of(2)) as store:
        thoughts = Thoughts()
        for now in BATCHES:
            store.append(told(rng, store, now), now)
            think(rng, store, thoughts)
        states = [(any_moment(rng, thoughts), any_moment(rng, thoughts)) for _ in range(8)]
        for known, stored in states:
            assert of_postgres(store.conn, state(known, stored)) == of_state(store, thoughts, known, stored)
        store.retire(END, rng.randint(6, 18))
        think(rng, store, thoughts, [version for version in thoughts.of if rng.random() < 0.5])
        with Shell.open(store.settings) as shell:
            for known, stored in states:
                assert of_shell(shell, state(known, stored)) == of_state(store, thoughts, known, stored)
            ask(store, thoughts, shell, rng)


def think(rng: random.Random, store: Store, thoughts: Thoughts, versions: list[Version] | None = None) -> None:
    """Assess some versions, several times; those that were assessed before may be retired meanwhile."""
    for _ in range(3):
        known = sorted(store.truth.versions, key=repr) if versions is None else versions
        chosen = {version: rng.choice([0.1, 0.5, AT_INGEST]) for version in known if rng.random() < 0.2}
        assess(store.conn, "test", [assessment(version, confidence) for version, confidence in chosen.items()])
        rows = store.conn.execute("select max(assessed_at) from quality.confidence").fetchall()
        store.conn.commit()
        for version, confidence in chosen.items():
            if confidence != thoughts.confidence(version):
                thoughts.of.setdefault(version, []).append((rows[0][0], confidence))


def assessment(version: Version, confidence: float) -> Assessment:
    key = (version.feature_id, version.version, version.ts, version.available_at, version.ingested_at)
    return Assessment(*key, confidence, {"agreement": confidence})


def any_moment(rng: random.Random, thoughts: Thoughts) -> datetime | None:
    """Any instant, often just one at which something was assessed."""
    edges = sorted(thoughts.edges())
    if not edges or rng.random() < 0.3:
        return rng.choice([None, moment(rng)])
    edge = rng.choice(edges)
    return rng.choice([edge, edge - timedelta(microseconds=1)])


def state(known: datetime | None, stored: datetime | None) -> str:
    """A statement that Postgres and DuckDB understand alike."""
    instants = ", ".join(f"'{at.isoformat()}'" if at else "'infinity'" for at in (known, stored))
    return f"select feature_id, version, ts, ingested_at, confidence from features.as_of({instants})"


def of_state(
    store: Store, thoughts: Thoughts, known: datetime | None, stored: datetime | None
) -> list[tuple[object, ...]]:
    newest: dict[tuple[str, int, datetime], Version] = {}
    for version in sorted(store.truth.versions, key=lambda version: (version.available_at, version.ingested_at)):
        if Question(known, stored, strict=False).allows(version):
            newest[version.feature_id, version.version, version.ts] = version
    rows = [(*key, each.ingested_at, thoughts.confidence(each, known, stored)) for key, each in newest.items()]
    return sorted(rows, key=repr)


def ask(store: Store, thoughts: Thoughts, shell: Shell, rng: random.Random) -> None:
    layer, features = QueryLayer(store.settings, store.catalog), list(store.catalog.features)
    names = ["feature_id", "ts", "value", "ingested_at", "confidence"]
    for _ in range(6):
        asked = Question(any_moment(rng, thoughts), any_moment(rng, thoughts), rng.random() < 0.5)
        instants = {"as_of": asked.known_at, "as_stored": asked.stored_at, "strict": asked.strict}
        for vintage in ("latest", "first", "all"):
            answer = layer.query(features, **instants, vintage=vintage)
            found = list(zip(*answer.select(names).to_pydict().values(), strict=True))
            assert found == [
                thoughts.point(version, asked.known_at, asked.stored_at)
                for feature in features
                for version in of_vintage(store.truth.of(feature, asked), vintage)
            ]
    for feature in features:
        revisions = layer.revisions(feature).select(names).to_pydict()
        everything = [thoughts.point(each) for each in store.truth.versions if each.feature_id == feature]
        assert sorted(zip(*revisions.values(), strict=True), key=repr) == sorted(everything, key=repr)
        for version in store.truth.state(feature, Question()):
            why = layer.explain(feature, version.ts, strict=False)
            assert why.confidence == thoughts.confidence(version)
            assert (why.assessment is not None) == (version in thoughts.of)
            if why.assessment is not None:
                assert why.assessment.reasons == {"agreement": why.confidence}
                assert why.assessment.confidence_at_ingest == AT_INGEST
                assert why.assessment.assessed_at == thoughts.of[version][-1][0]
    values = of_shell(shell, f"select {', '.join(names)} from features_values")
    expected = [thoughts.point(each) for feature in features for each in store.truth.state(feature, Question())]
    assert values == sorted(expected, key=repr)
