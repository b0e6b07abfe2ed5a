"""What answers look like, for OpenAPI: answers are written column by column, and a test holds them against these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2024-05-29T20:00:00Z"])]
Basis = Literal["vintage", "schedule", "backfilled", "ingested", "stated"]
Share = Annotated[float, Field(ge=0, le=1)]
FeatureName = Annotated[str, Field(examples=["macro/us/vix_index"])]


class Told(BaseModel):
    """Base of all: answers have these members and no others."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True)


class FeaturePoint(Told):
    """A point: the value of a feature at an instant, and what is known of it."""

    feature_id: FeatureName
    ts: Moment
    """The instant that it describes; the catalog's `label` says whether it is one, or a period's start or end."""
    value: Annotated[float | None, Field(examples=[14.28])]
    """In the feature's unit; null where a version withdrew it, which vintage all alone tells."""
    stale: bool
    """Whether it is older than the feature's ttl_ms, closed time of its calendar apart."""
    confidence: Share
    meta: dict[str, Any]
    evidence: list[dict[str, Any]]
    """Where it comes from: answers of sources (source, url, fetchedAt, sha256), or the versions of its inputs."""
    available_at: Moment
    """The earliest instant at which its source could have served it."""
    available_basis: Basis
    """How that is known."""
    ingested_at: Moment
    """When this store committed it."""
    provisional: bool
    """Whether the source will still change it by design."""
    version: Annotated[int, Field(ge=1)]
    """Of the feature's definition."""


class LatestAnswer(Told):
    """The newest points."""

    points: list[FeaturePoint]
    missing: list[FeatureName]
    """Features without a point yet."""


class QueryAnswer(Told):
    """A page of points."""

    points: list[FeaturePoint]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null on the last one."""
    backfilled_share: Share
    """What share of the page's values was backfilled: loaded long after they were published."""
    as_stored: Moment
    """The state of the store that all pages of this read are of."""


class JoinedPoint(Told):
    """Which point a value is of."""

    ts: Moment
    valid_at: Moment
    available_at: Moment
    available_basis: Basis


class JoinedRow(Told):
    """A row of the spine, and what was known of each feature then."""

    at: Moment
    as_of: Moment | None = None
    values: dict[str, float | None]
    points: dict[str, JoinedPoint | None] | None = None
    """With `detail` alone."""


class HistoricalAnswer(Told):
    """The spine, joined."""

    rows: list[JoinedRow]
    backfilled_share: dict[str, Share]


class Version(Told):
    """A version of a point."""

    ts: Moment
    value: float | None
    version: int
    available_at: Moment
    available_basis: Basis
    ingested_at: Moment
    provisional: bool
    confidence: Share
    meta: dict[str, Any]
    evidence: list[dict[str, Any]]


class RevisionsAnswer(Told):
    """Every version, in the order in which they were told."""

    feature_id: FeatureName
    versions: list[Version]


class SourceAnswer(Told):
    """An answer of a source that a value was read from."""

    source: str
    stream: str
    url: str
    status: int | None
    fetched_at: Moment
    sha256: str | None
    size_bytes: int | None
    payload: str
    """Where its bytes lie: database, an s3:// URI, expired, or none where no answer came."""
    expired_at: Moment | None
    download: str | None
    """The path that gives the bytes, while they are held."""


class AssessmentAnswer(Told):
    """Why the confidence of a version is not the one that it was ingested with."""

    assessed_at: Moment
    reasons: dict[str, float]
    """The factors that the confidence was made of, by their names."""
    confidence_at_ingest: Share


class Explanation(Told):
    """A version, and what it was made of."""

    feature_id: FeatureName
    version: int
    ts: Moment
    value: float | None
    available_at: Moment
    available_basis: Basis
    ingested_at: Moment
    provisional: bool
    confidence: Share
    assessment: AssessmentAnswer | None
    """Null where the confidence is that at ingest."""
    meta: dict[str, Any]
    sources: list[SourceAnswer]
    inputs: list["Explanation"]


class FeatureEntry(BaseModel):
    """A feature's entry in the catalog; what is absent does not apply to it."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    id: FeatureName
    entity: Literal["asset", "pair", "market", "macro"]
    description: str
    unit: str
    frequency: Literal["tick", "1m", "5m", "1h", "1d"]
    ttl_ms: int
    """Older than this, a point is stale."""
    tags: list[str]
    source: dict[str, Any]
    quality: dict[str, Any]
    version: int
    owner: str
    calendar: str
    label: Literal["instant", "start", "end"]
    writers: list[Literal["connector", "publish"]]


class CatalogAnswer(Told):
    """The catalog, or the part of it that was asked for."""

    features: list[FeatureEntry]


class PublishFailure(Told):
    """A point that broke a rule."""

    index: int
    """Its place in the request, from 0."""
    feature_id: str
    ts: str
    rule: Annotated[str, Field(examples=["out_of_range"])]
    reason: str


class PublishResult(Told):
    """What became of the points."""

    inserted: int
    duplicate: int
    """They said what is held already."""
    failed: int
    errors: list[PublishFailure]


class Mistake(BaseModel):
    """One mistake in a request."""

    where: Annotated[str, Field(examples=["query.since"])]
    problem: Annotated[str, Field(examples=["names no time zone: give one, for example 2024-05-29T14:30:00Z"])]


class ProblemDetails(BaseModel):
    """What went wrong, as RFC 9457 has it, and what to do."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:feature-store:problem:invalid-request"])]
    title: str
    status: int
    detail: str
    instance: Annotated[str, Field(description="The path that was asked.", examples=["/v1/query"])]
    remedy: Annotated[str, Field(description="What to do.")]
    request_id: Annotated[str, Field(alias="requestId", description="The log has more under it.")]
    errors: list[dict[str, Any]] | None = None


class Health(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready"]
