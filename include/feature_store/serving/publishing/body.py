"""The body of a request to publish: its JSON, held to the wire's names and types before any rule of the catalog."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from feature_store.errors import InvalidRequest, TooLarge

MAX_POINTS = 10_000
MAX_BYTES = 8 * 1024 * 1024

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}([.,]\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_SHOWN = 20
"""Of a body that cannot be read, so many mistakes are told: all of them may be one."""


def instant(text: object) -> object:
    """An instant in UTC of ISO 8601 with a zone, to the microsecond; ValueError says what is wrong with another."""
    if isinstance(text, datetime):  # made in Python
        return text
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError(
            "give an instant of ISO 8601 with a zone, to the microsecond at most, for example 2024-03-01T12:00:00Z"
        )
    try:
        return datetime.fromisoformat(text.upper().replace(",", ".")).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such instant: {error}") from None


def _storable(value: Any) -> Any:
    """What the database can keep as JSON: no NaN or infinity, and no character NUL."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except ValueError:
        raise ValueError("it holds a number that JSON has no word for: NaN and infinities cannot be kept") from None
    if "\\u0000" in text:
        raise ValueError("it holds the character NUL, which cannot be kept")
    return value


Instant = Annotated[
    datetime, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Meta = Annotated[dict[str, JsonValue], BeforeValidator(_storable)]
Text = Annotated[str, BeforeValidator(_storable), Field(max_length=2_000)]


class _Wire(BaseModel):
    """Names of the wire are camelCase, numbers are JSON's numbers, and what nobody knows is an error."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class EvidenceRef(_Wire):
    """Where a publisher has a number from."""

    source: Text
    url: Text | None = None
    """Without secrets: every reader sees it."""
    fetched_at: Instant | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    uri: Text | None = None


class Point(_Wire):
    """One point to publish, as readers get it; what it may be left without follows from the store."""

    feature_id: Text
    ts: Instant
    value: float
    """In the feature's unit. NaN and infinities are read, so that the point fails and the others do not."""
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    meta: Meta = Field(default_factory=dict)
    evidence: Annotated[list[EvidenceRef], Field(max_length=100)] = Field(default_factory=list)
    available_at: Instant | None = None
    """When it was available to you; absent: when it is published."""
    provisional: bool = False
    stale: bool | None = None
    """Ignored: age decides."""

    @property
    def number(self) -> float:
        """The value, where zero has no sign: two zeros are one value."""
        return self.value + 0.0

    def refs(self) -> list[dict[str, Any]]:
        """The evidence as it is kept."""
        return [ref.model_dump(mode="json", by_alias=True, exclude_none=True) for ref in self.evidence]


class PublishRequest(_Wire):
    """Points to publish. `all` writes nothing when one fails, `each` writes what passes."""

    points: list[Point]
    mode: Literal["all", "each"] = "all"


def read_request(body: bytes) -> PublishRequest:
    """The request that a body holds.

    Raises TooLarge beyond MAX_BYTES or MAX_POINTS, InvalidRequest that names every mistake when it is none.
    """
    if len(body) > MAX_BYTES:
        raise TooLarge(f"the body has {len(body):,} bytes, and {MAX_BYTES:,} are taken at once: send it in several")
    try:
        request = PublishRequest.model_validate_json(body)
    except ValidationError as error:
        found = [_mistake(detail) for detail in error.errors(include_url=False)[:_SHOWN]]
        raise InvalidRequest("the body is no request to publish", found) from None
    if len(request.points) > MAX_POINTS:
        raise TooLarge(f"{len(request.points):,} points, and {MAX_POINTS:,} are taken at once: send them in several")
    return request


def _mistake(detail: ErrorDetails) -> dict[str, str]:
    where = ".".join(("body", *map(str, detail["loc"])))
    match detail["type"]:
        case "extra_forbidden":
            return {"where": where, "problem": "unknown field"}
        case "missing":
            return {"where": where, "problem": "missing"}
        case "value_error":
            return {"where": where, "problem": str(detail["ctx"]["error"])}
        case _:
            return {"where": where, "problem": detail["msg"][:1].lower() + detail["msg"][1:]}
