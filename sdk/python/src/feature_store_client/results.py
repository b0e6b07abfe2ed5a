"""What the verbs answer with. Instants are datetimes in UTC; a dataclass has a field for each member of the wire."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Basis = Literal["vintage", "schedule", "backfilled", "ingested", "stated"]
"""How `available_at` is known."""


@dataclass(frozen=True, slots=True)
class FeaturePoint:
    """A point: the value of a feature at an instant, and what is known of it."""

    feature_id: str
    ts: datetime
    """The instant that it describes; the catalog's `label` says whether it is one, or the start or end of a period."""
    value: float | None
    """In the feature's unit; None where a version withdrew it, which vintage="all" alone tells."""
    stale: bool
    """Whether it is older than the feature's ttl, closed time of its calendar apart."""
    confidence: float
    meta: dict[str, Any]
    evidence: list[dict[str, Any]]
    """Where it comes from: answers of sources (source, url, fetchedAt, sha256), or the versions of its inputs."""
    available_at: datetime
    """The earliest instant at which its source could have served it."""
    available_basis: Basis
    ingested_at: datetime
    """When the store committed it."""
    provisional: bool
    """Whether the source will still change it by design."""
    version: int
    """Of the feature's definition."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a point, as `revisions` tells them."""

    ts: datetime
    value: float | None
    version: int
    available_at: datetime
    available_basis: Basis
    ingested_at: datetime
    provisional: bool
    confidence: float
    meta: dict[str, Any]
    evidence: list[dict[str, Any]]


class Points(list[FeaturePoint]):
    """Points in the order asked, and what is true of all of them."""

    backfilled_share: float
    """What share of them was backfilled: loaded long after they were published, and maybe rewritten since."""
    missing: Sequence[str]
    """Features without a point."""

    def __init__(self, points: Sequence[FeaturePoint] = (), *, missing: Sequence[str] = ()) -> None:
        super().__init__(points)
        self.missing = missing
        backfilled = sum(point.available_basis == "backfilled" for point in points)
        self.backfilled_share = backfilled / len(points) if points else 0.0


@dataclass(frozen=True, slots=True)
class JoinedPoint:
    """Which point a value of a join is of."""

    ts: datetime
    valid_at: datetime
    available_at: datetime
    available_basis: Basis


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """A row of the spine, and what was known of each feature then."""

    at: datetime
    as_of: datetime | None
    values: dict[str, float | None]
    points: dict[str, JoinedPoint | None] | None
    """With detail=True alone."""


class JoinedRows(list[JoinedRow]):
    """The spine, joined, and what share of each feature's values was backfilled."""

    backfilled_share: Mapping[str, float]

    def __init__(self, rows: Iterable[JoinedRow], backfilled_share: Mapping[str, float]) -> None:
        super().__init__(rows)
        self.backfilled_share = backfilled_share


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """Where a feature comes from."""

    id: str
    class_: str
    """onchain, cex, macro or derived."""
    schema: str


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature's entry in the catalog."""

    id: str
    entity: str
    """asset, pair, market or macro."""
    description: str
    unit: str
    frequency: str
    """tick, 1m, 5m, 1h or 1d."""
    ttl_ms: int
    """Older than this, a point is stale."""
    tags: list[str]
    source: FeatureSource
    quality: dict[str, Any]
    version: int
    owner: str
    calendar: str
    label: str
    """Whether ts is an instant, or the start or end of a period."""
    writers: list[str]
    """Who writes it: connector, publish or both."""
    more: dict[str, Any] = field(default_factory=dict)
    """Whatever else its entry says."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """An answer of a source that a value was read from."""

    source: str
    stream: str
    url: str
    status: int | None
    fetched_at: datetime
    sha256: str | None
    """What `download_payload` takes."""
    size_bytes: int | None
    payload: str
    """Where its bytes lie: database, an s3:// URI, expired, or none where no answer came."""
    expired_at: datetime | None
    download: str | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Why the confidence of a version is not the one that it was ingested with."""

    assessed_at: datetime
    reasons: dict[str, float]
    """The factors that the confidence was made of, by their names."""
    confidence_at_ingest: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A version, and what it was made of: answers of sources, or the versions of other features."""

    feature_id: str
    version: int
    ts: datetime
    value: float | None
    available_at: datetime
    available_basis: Basis
    ingested_at: datetime
    provisional: bool
    confidence: float
    assessment: Assessment | None
    """None where the confidence is that at ingest."""
    meta: dict[str, Any]
    sources: list[SourceAnswer]
    inputs: "list[Explanation]"


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A point to write."""

    feature_id: str
    ts: datetime | str
    value: float
    confidence: float = 1.0
    meta: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Mapping[str, Any]] = ()
    """Where you have it from: source, and url, fetchedAt, sha256, uri where there are any."""
    available_at: datetime | str | None = None
    """When it was available to you; None: when it is written."""
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class PointError:
    """A point that failed."""

    index: int
    """Among the points of the call, from 0."""
    feature_id: str
    ts: datetime | None
    rule: str
    """unknown_feature, derived, not_a_writer, not_finite, out_of_range, in_the_future, available_at, twice, retired."""
    reason: str


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the points of a call."""

    inserted: int
    duplicate: int
    """Points that say what the store holds already."""
    failed: int
    errors: list[PointError]
    replayed: bool = False
    """Whether an earlier attempt had written them, and this is its answer again."""
