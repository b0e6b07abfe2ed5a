"""What may be asked: the parameters of every path, read strictly. Instants name a zone and become UTC."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from feature_store.catalog.durations import DURATION_SCHEMA, parts

MOST_FEATURES = 200
MOST_POINTS = 100_000
MOST_VERSIONS = 10_000
MOST_ROWS = 100_000
MOST_JOINED = 50

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?")


def instant(value: object) -> datetime:
    """ISO 8601 with a zone as UTC; ValueError, with what to do, for anything else."""
    if not isinstance(value, str) or not (match := _INSTANT.fullmatch(value)):
        plus = ": in an address, + is written %2B" if isinstance(value, str) and " 0" in value[11:] else ""
        raise ValueError(f"is no ISO 8601 instant with a zone, such as 2024-05-29T14:30:00Z{plus}")
    if match.group(3) is None:
        raise ValueError(f"names no time zone: give one, for example {value}Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no instant of the calendar, or lies outside of the years 1 to 9999 in UTC") from None


def _ids(value: object) -> object:
    """Repeated, or comma separated."""
    return [name for part in value for name in str(part).split(",")] if isinstance(value, list) else value


def _different(value: list[str] | None) -> list[str] | None:
    return None if value is None else list(dict.fromkeys(value))


def _exactly(words: dict[str, Any], what: str) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"is not {what}")
        return words[value]

    return read


def _number(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("is no whole number")
    return int(value)


def duration(value: object) -> timedelta:
    """An ISO 8601 duration of fixed length; ValueError for others, and for months and years."""
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("is no ISO 8601 duration such as P10D")
    try:
        months, fixed = parts(value)
    except OverflowError:
        raise ValueError("is too long") from None
    if months:
        raise ValueError("months and years differ in length: give days, for example P31D")
    if fixed > timedelta(days=36_500):
        raise ValueError("is longer than a century")
    return fixed


def _max_ages(value: object) -> object:
    """A duration, or the JSON of durations by feature."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            given = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("is no JSON object of durations by feature") from None
        return {name: duration(age) for name, age in given.items()}
    return value if value is None else duration(value)


Instant = Annotated[
    datetime,
    BeforeValidator(instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2024-05-29T14:30:00Z"]}),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_SCHEMA, "examples": ["P10D"]}),
]
Flag = Annotated[
    bool,
    BeforeValidator(
        lambda value: value if value is True else _exactly({"true": True, "false": False}, "true or false")(value)
    ),
    WithJsonSchema({"type": "boolean"}),
]
# The pattern is for the document alone: who mistypes an id is told which one is like it.
FeatureName = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": "^[a-z0-9_/,]+$"})]
FeatureIds = Annotated[
    list[FeatureName],
    BeforeValidator(_ids),
    AfterValidator(_different),
    Field(min_length=1, max_length=MOST_FEATURES),
]

_IDS = "Ids of features, repeated or comma separated; the answer has them in that order."
_STORED = "What the store held at that instant, whatever it has learnt since."
_STRICT = "Whether a backfilled value counts as known only from when the store ingested it."


class Asked(BaseModel):
    """Base of all: an unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class CatalogAsked(Asked):
    """Which features of the catalog."""

    search: Annotated[
        str | None,
        Field(max_length=200, description="Text in id, description or tags, in any case.", examples=["liquidity"]),
    ] = None
    tag: Annotated[str | None, Field(max_length=200, description="A tag that they have.", examples=["etf"])] = None
    entity: Annotated[
        Literal["asset", "pair", "market", "macro"] | None, Field(description="What they describe.", examples=["macro"])
    ] = None
    source: Annotated[
        str | None, Field(max_length=200, description="Their source, by id or slug.", examples=["fred"])
    ] = None


class LatestAsked(Asked):
    """The newest points of which features."""

    feature_ids: Annotated[
        list[FeatureName] | None,
        BeforeValidator(_ids),
        AfterValidator(_different),
        Field(max_length=MOST_FEATURES, description=f"{_IDS} Absent: all.", examples=[["macro/us/vix_index"]]),
    ] = None


class Range(Asked):
    """A range of ts, and the state it is read in."""

    since: Annotated[Instant | None, Field(description="From this ts on.")] = None
    until: Annotated[Instant | None, Field(description="Before this ts.")] = None


class QueryAsked(Range):
    """Points of a range."""

    feature_ids: Annotated[FeatureIds, Field(description=_IDS, examples=[["macro/us/vix_index"]])]
    as_of: Annotated[Instant | None, Field(description="As they were known at that instant.")] = None
    as_stored: Annotated[Instant | None, Field(description=_STORED)] = None
    strict: Annotated[Flag, Field(description=_STRICT)] = True
    vintage: Annotated[
        Literal["latest", "first", "all"],
        Field(description="Of each ts the newest version, the first, or all of them, withdrawals included."),
    ] = "latest"
    limit: Annotated[
        Annotated[int, BeforeValidator(lambda value: value if value == 1000 else _number(value))],
        Field(ge=1, le=MOST_POINTS, description="How many points a page has at most."),
    ] = 1000
    cursor: Annotated[
        str | None,
        Field(
            max_length=20_000,
            description="`nextCursor` of the page before, of the same question.",
            json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"},
        ),
    ] = None


class JoinAsked(Asked):
    """What a spine is joined with."""

    feature_ids: Annotated[
        FeatureIds, Field(max_length=MOST_JOINED, description=_IDS, examples=[["macro/us/vix_index"]])
    ]
    as_stored: Annotated[Instant | None, Field(description=_STORED)] = None
    strict: Annotated[Flag, Field(description=_STRICT)] = True
    max_age: Annotated[
        timedelta | dict[str, timedelta] | None,
        BeforeValidator(_max_ages),
        WithJsonSchema({"type": "string", "pattern": rf"{DURATION_SCHEMA}|^\{{.*\}}$", "examples": ["P10D"]}),
        Field(description="Leaves out what was older, closed time apart: one for all, or a JSON object by feature."),
    ] = None
    detail: Annotated[Flag, Field(description="Whether each value comes with its instants.")] = False


class RevisionsAsked(Range):
    """Versions of a point, or of the points of a range."""

    feature_id: Annotated[FeatureName, Field(description="The feature.", examples=["macro/us/walcl_total_usd"])]
    ts: Annotated[Instant | None, Field(description="The point; not together with since and until.")] = None
    limit: Annotated[
        Annotated[int, BeforeValidator(lambda value: value if value == MOST_VERSIONS else _number(value))],
        Field(ge=1, le=MOST_VERSIONS, description="More versions than this are refused."),
    ] = MOST_VERSIONS


class ExplainAsked(Asked):
    """A point in a state."""

    feature_id: Annotated[FeatureName, Field(description="The feature.", examples=["macro/us/net_liquidity_usd"])]
    ts: Annotated[Instant, Field(description="The point.")]
    as_of: Annotated[Instant | None, Field(description="As it was known at that instant.")] = None
    as_stored: Annotated[Instant | None, Field(description=_STORED)] = None
    strict: Annotated[Flag, Field(description=_STRICT)] = True


class SpineRow(Asked):
    """A row of a spine."""

    at: Annotated[Instant, Field(description="The instant to look at.")]
    as_of: Annotated[Instant | None, Field(description="What was known then; `at` itself when absent.")] = None


class HistoricalAsked(Asked):
    """A spine, and what it is joined with."""

    spine: Annotated[list[SpineRow], Field(max_length=MOST_ROWS, description="The instants, one row each.")]
    feature_ids: Annotated[
        list[FeatureName],
        AfterValidator(_different),
        Field(min_length=1, max_length=MOST_JOINED, description="Ids of features.", examples=[["macro/us/vix_index"]]),
    ]
    as_stored: Annotated[Instant | None, Field(description=_STORED)] = None
    strict: Annotated[bool, Field(strict=True, description=_STRICT)] = True
    max_age: Annotated[
        Duration | dict[str, Duration] | None,
        Field(
            description="Leaves out what was older, closed time apart: one for all, or by feature.", examples=["P10D"]
        ),
    ] = None
    detail: Annotated[bool, Field(strict=True, description="Whether each value comes with its instants.")] = False
