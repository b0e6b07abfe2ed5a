"""The contracts of the two catalog files. Wire names are the seed's; unknown keys are errors.

A *stated unit* is the unit as the source itself writes it ("Millions of U.S. Dollars"); a *factor* turns the
stated number into the feature's own unit.
"""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
    model_validator,
)

from feature_store.catalog.durations import DURATION_SCHEMA, parts
from feature_store.errors import CatalogError

DERIVED_SOURCE = "feature-store"
"""Source id of what this store computes itself: derived features and seasonally adjusted twins."""

PUBLISH_SOURCE = "publish"
"""Source id of what nobody but publishers brings, and the source of every fetch that is a request to publish."""

PUBLISH_STREAM = "points"
"""The one stream of it."""

PUBLISH_TABLE = "published_points"
"""Its raw table."""

CalendarName = Literal[
    "24x7",
    "weekly-wed",
    "monthly",
    "quarterly",
    "nyse",
    "sifma-us",
    "fed-desk",
    "us-federal",
    "fx-weekdays",
    "funding",
]
Frequency = Literal["tick", "1m", "5m", "1h", "1d"]
SourceClass = Literal["onchain", "cex", "macro", "derived"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri"]


def normal_unit(text: str) -> str:
    """A stated unit without case, dots and extra spaces, so that two spellings of one unit compare equal."""
    return re.sub(r"\s+", " ", text.replace(".", "")).strip().lower()


def _duration(value: object) -> object:
    if isinstance(value, str):
        parts(value)
    return value


def _period(value: object) -> object:
    return value if value == "session" else _duration(value)


# A walk over hundreds of files, and every task reads the catalog.
_zones = cache(available_timezones)


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError(f"{value!r} is not an IANA time zone such as America/New_York or UTC")
    return value


def _number(value: object) -> object:
    """YAML floats arrive as Decimal; a float that slipped in keeps the digits it was written with."""
    return str(value) if isinstance(value, float) else value


def _cron(value: str) -> str:
    if len(value.split()) not in (5, 6) or not croniter.is_valid(value):
        raise ValueError(
            f"{value!r} is not a cron expression of five fields, for example '0 * * * *', or six, the last for seconds"
        )
    return value


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


Duration = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"pattern": DURATION_SCHEMA})]
Period = Annotated[str, AfterValidator(_period), Field(json_schema_extra={"pattern": f"{DURATION_SCHEMA}|^session$"})]
Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
Factor = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(gt=0, allow_inf_nan=False),
    PlainSerializer(_json_number, when_used="json"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
SourceId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
HostName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
FeatureId = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:/[a-z0-9_]+){1,3}$")]
Text = Annotated[str, Field(min_length=1)]


class Contract(BaseModel):
    """Base of every contract: immutable, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


class AfterRule(Contract):
    """Released a fixed delay after the described period is over: R = valid_at + delay."""

    after: Literal["valid_at"]
    delay: Duration


class DayRule(Contract):
    """Released at a wall time of a later day: R = date of ts + days (or the next weekday strictly after ts),
    rolled forward to an open day of `roll`, at `at` in `zone`, with its daylight-saving time."""

    days: Annotated[int, Field(ge=0, le=400)] | None = None
    weekday: Weekday | None = None
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    zone: Zone
    roll: CalendarName | None = None

    @model_validator(mode="after")
    def _one_way_to_find_the_day(self) -> Self:
        if (self.days is None) == (self.weekday is None):
            raise ValueError("give exactly one of days (0 or more) and weekday (mon to fri)")
        return self

    @property
    def wall_time(self) -> time:
        """The time of day in `zone`."""
        return time.fromisoformat(self.at)

    @property
    def tz(self) -> ZoneInfo:
        """The zone as an object."""
        return ZoneInfo(self.zone)


RULE_KINDS = ("after", "day")


def _kind_of_rule(value: object) -> str:
    keys = value.keys() if isinstance(value, Mapping) else vars(value) if isinstance(value, BaseModel) else ()
    return "after" if "after" in keys or "delay" in keys else "day"


ReleaseRule = Annotated[
    Annotated[AfterRule, Tag("after")] | Annotated[DayRule, Tag("day")], Discriminator(_kind_of_rule)
]


class Tail(Contract):
    """The source still changes its newest `tail` periods."""

    tail: Annotated[int, Field(ge=1)]


class Days(Contract):
    """A span of whole days."""

    days: Annotated[int, Field(ge=1)]


Revises = Literal["never", "vintages", "deep"] | Tail
Provisional = Literal["none", "estimate", "partial"]
Label = Literal["instant", "start", "end"]


class TimeRules(Contract):
    """When a value is valid, when it is released and how it may change afterwards."""

    calendar: CalendarName
    label: Label
    period: Period | None = None
    release: ReleaseRule
    revises: Revises
    provisional: Provisional

    @model_validator(mode="after")
    def _label_and_period_agree(self) -> Self:
        check_label(self.label, self.period)
        return self


class RawSeries(TimeRules):
    """A series that is landed but feeds no feature: a cross-check of others."""

    description: Text
    unit: Text


class SeriesSpec(TimeRules):
    """One series of a stream as a connector needs it, whether features or only raw rows come of it."""

    name: Text
    source_slug: Slug
    stream: StreamName
    units: tuple[str, ...]
    """The stated units we can scale, normalised; empty when any unit is taken as it is."""
    feature_ids: tuple[str, ...]


class RateLimit(Contract):
    """How fast a source may be asked: the strictest of the given limits holds."""

    per_minute: Annotated[int, Field(ge=1)]
    per_second: Annotated[int, Field(ge=1)] | None = None
    min_interval_seconds: Annotated[float, Field(gt=0)] | None = None


class UsedWeight(Contract):
    """The header in which a host says how much of its budget per wall-clock minute is spent, and that budget."""

    header: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    per_minute: Annotated[int, Field(ge=1)]


class Stream(Contract):
    """One endpoint of a source, landed in `raw.<slug>_<stream>`."""

    description: Text
    base_url: Annotated[str, Field(pattern=r"^https://")] | None = None
    """Another root than the source's, where the stream lives on a host of its own."""
    used_weight: UsedWeight | None = None
    history: Literal["full", "none"] | Days
    """How far back the source answers: to the beginning, some days, or (`none`: a snapshot) not at all."""
    first: timedelta | None = None
    """How far back the first run of the live tail reaches; absent: as far as the source answers."""
    overlap: timedelta = timedelta(days=3)
    """How much of what the last run asked for the next one asks for again: as long as the source still revises."""
    chunk: timedelta | None = None
    """The span that is fetched and loaded at once; absent: a window is one chunk."""
    zone: Zone | None = None
    """Zone of the calendar dates the source writes; absent when it writes instants."""
    payloads: Literal["forever"] | Days
    """How long the bytes of its answers are kept: for good, or days from their fetch. Hash, fetch and rows stay."""
    series: dict[str, RawSeries] = Field(default_factory=dict)


class Source(Contract):
    """One provider of data."""

    id: SourceId
    slug: Slug
    name: Text
    source_class: SourceClass = Field(alias="class")
    description: Text
    base_url: Annotated[str, Field(pattern=r"^https://")] | None
    """Root of its HTTP interface, without a trailing slash; null where the source has many `hosts`, or when the user
    brings an address: then the first of `credentials` is the setting that holds it, and it is a secret."""
    hosts: dict[HostName, Annotated[str, Field(pattern=r"^https://")]] = Field(default_factory=dict)
    """Name → root of each host, of a source that asks many."""
    docs_url: Annotated[str, Field(pattern=r"^https://")]
    rate_limit: RateLimit
    reliability: Annotated[float, Field(gt=0, le=1)]
    credentials: tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], ...]
    schedule: Annotated[tuple[Cron, ...], Field(min_length=1)]
    streams: Annotated[dict[StreamName, Stream], Field(min_length=1)]

    @property
    def has_history(self) -> bool:
        """Whether any of its streams answers for the past."""
        return any(stream.history != "none" for stream in self.streams.values())


class SourceRef(Contract):
    """Where a feature comes from: the source's id and class, and the table or model that carries it."""

    id: SourceId
    source_class: SourceClass = Field(alias="class")
    schema_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(alias="schema")


class Jump(Contract):
    """How far a value may lie from those before it: as a factor, or as an amount in the feature's unit.

    The kind also says how the feature's changes are measured: in logarithms, or as differences.
    """

    factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    amount: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.factor is None) == (self.amount is None):
            raise ValueError("give exactly one of factor (above 1) and amount (above 0, in the feature's unit)")
        return self


class Quality(Contract):
    """What a plausible value looks like."""

    expected_range: tuple[float, float]
    seasonal: bool
    jump: Jump | None = None
    """A value further than this from both the one before and the median of five before is kept out; absent: none is."""
    repeats: Annotated[int, Field(ge=1)] | None = None
    """How often in a row the same value may come; absent: as often as it likes."""

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        if not self.expected_range[0] < self.expected_range[1]:
            raise ValueError(f"expected_range {list(self.expected_range)} must ascend: [low, high]")
        return self


Scale = Factor | Annotated[dict[str, Factor], Field(min_length=1)]
CONNECTOR_KEYS = ("stream", "series", "scale", "release", "revises", "provisional")
DERIVED_KEYS = ("inputs", "max_age")
DEFINITION_KEYS = (
    "unit",
    "frequency",
    "label",
    "period",
    "season",
    "release",
    "scale",
    "stream",
    "series",
    "field",
    "inputs",
    "max_age",
)
"""What makes two definitions of one feature different: changing one of these needs a new `version`."""


class FeatureSpec(Contract):
    """One feature: a connector's has stream, series, scale and time rules, a derived one has inputs, and one that is
    published alone has none of them."""

    id: FeatureId
    entity: Literal["asset", "pair", "market", "macro"]
    description: Text
    unit: Text
    frequency: Frequency
    ttl_ms: Annotated[int, Field(ge=1)]
    tags: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], ...]
    source: SourceRef
    quality: Quality
    version: Annotated[int, Field(ge=1)]
    owner: Text
    calendar: CalendarName
    label: Label
    period: Period | None = None
    release: ReleaseRule | None = None
    revises: Revises | None = None
    provisional: Provisional | None = None
    scale: Scale | None = None
    stream: StreamName | None = None
    series: Text | None = None
    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """Column of the raw table, where it has more than one number a row; absent means `value`."""
    season: Literal["week-of-year", "hour-of-week"] | None = None
    """The cycle that the `_sa` twin is adjusted for; given exactly when quality.seasonal is true."""
    inputs: tuple[FeatureId, ...] = ()
    max_age: Duration | None = None
    """An input older than this gives no derived value."""
    writers: Annotated[tuple[Literal["connector", "publish"], ...], Field(min_length=1)]
    """Who brings its points: its source's connector, publishers, or both. What this store computes says connector."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_label(self.label, self.period)
        kind, wanted, foreign = self._kind()
        missing = [key for key in wanted if getattr(self, key) in (None, ())]
        surplus = [key for key in foreign if getattr(self, key) not in (None, ())]
        if missing:
            raise ValueError(f"a {kind} needs {', '.join(missing)}")
        if surplus:
            raise ValueError(f"a {kind} takes no {', '.join(surplus)}")
        check_writers(self)
        if len(self.inputs) > 1 and self.max_age is None:
            raise ValueError("a feature of several inputs needs max_age, for example P10D")
        if self.quality.seasonal != (self.season is not None):
            raise ValueError("season (week-of-year or hour-of-week) goes with quality.seasonal: true, and only with it")
        if isinstance(self.scale, dict) and len({normal_unit(unit) for unit in self.scale}) < len(self.scale):
            raise ValueError("scale names one unit twice (case, dots and spaces do not distinguish units)")
        return self

    def _kind(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What it is in words, the keys that it needs, and those that are another kind's."""
        if self.is_derived:
            return "derived feature", DERIVED_KEYS[:1], CONNECTOR_KEYS
        if self.is_connected:
            return "connector's feature", CONNECTOR_KEYS, DERIVED_KEYS
        return "feature that is only published", (), (*CONNECTOR_KEYS, "field", *DERIVED_KEYS)

    @property
    def is_derived(self) -> bool:
        """True for what this store computes from other features."""
        return self.source.id == DERIVED_SOURCE

    @property
    def is_connected(self) -> bool:
        """True for what a source's connector brings, whoever else publishes it: it has a stream."""
        return self.source.id not in (DERIVED_SOURCE, PUBLISH_SOURCE)

    @property
    def is_publishable(self) -> bool:
        """True for what publishers may bring: its connector's beside it, or alone."""
        return "publish" in self.writers

    @property
    def grain(self) -> Literal["daily", "intraday"]:
        """The partition the feature lives in."""
        return "daily" if self.frequency == "1d" else "intraday"

    @property
    def factors(self) -> dict[str | None, Decimal]:
        """Factor by normalised stated unit; the single key None where the source states no unit."""
        if isinstance(self.scale, dict):
            return {normal_unit(unit): factor for unit, factor in self.scale.items()}
        return {} if self.scale is None else {None: self.scale}

    def factor(self, stated_unit: str | None) -> Decimal:
        """The factor from what the source states to this feature's unit; CatalogError for an unknown unit."""
        factors = self.factors
        key = None if None in factors else normal_unit(stated_unit or "")
        if key not in factors:
            raise CatalogError(
                f"{self.id}: the source states the unit {stated_unit!r}, but features.yaml scales only "
                + (", ".join(repr(unit) for unit in factors) or "nothing")
            )
        return factors[key]

    @property
    def rules(self) -> TimeRules:
        """The time rules of a connector's feature; CatalogError for any other, which has none."""
        if self.release is None or self.revises is None or self.provisional is None:
            why = "derived: it follows its inputs" if self.is_derived else "published: its publishers say when"
            raise CatalogError(f"{self.id} has no release rule, it is {why}")
        return TimeRules(
            calendar=self.calendar,
            label=self.label,
            period=self.period,
            release=self.release,
            revises=self.revises,
            provisional=self.provisional,
        )

    def wire(self) -> dict[str, Any]:
        """The specification under its wire names, as JSON values, without what is absent."""
        wire = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return wire if self.inputs else {key: value for key, value in wire.items() if key != "inputs"}

    def definition(self) -> dict[str, Any]:
        """The part of `wire()` that decides what the numbers mean."""
        wire = self.wire()
        return {key: wire[key] for key in DEFINITION_KEYS if key in wire}


class SourcesFile(Contract):
    """datasources.yaml"""

    sources: tuple[Source, ...]


class FeaturesFile(Contract):
    """features.yaml"""

    features: tuple[FeatureSpec, ...]


def check_label(label: Label, period: str | None) -> None:
    """ValueError unless instants have no period and starts and ends have one."""
    if label == "instant" and period is not None:
        raise ValueError("label instant takes no period")
    if label != "instant" and period is None:
        raise ValueError(f"label {label} needs a period: an ISO 8601 duration such as P1D, or session")


def check_writers(feature: FeatureSpec) -> None:
    """ValueError unless a feature is written by those who can: a connector where it has one, publishers of the rest."""
    has_connector = "connector" in feature.writers
    if feature.is_derived and feature.writers != ("connector",):
        raise ValueError("a derived feature is computed and never published: writers: [connector]")
    if feature.is_connected and not has_connector:
        raise ValueError(
            f"writers [publish] alone go with source.id {PUBLISH_SOURCE}; with a source they are [connector, publish]"
        )
    if feature.source.id == PUBLISH_SOURCE and has_connector:
        raise ValueError(f"source {PUBLISH_SOURCE} has no connector: writers: [publish]")
