"""The endpoint of the point-in-time join: a spine in, as JSON or Arrow, and the joined rows out."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import pyarrow as pa
from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response, StreamingResponse

from feature_store.serving.api import failures
from feature_store.serving.api.asked import HistoricalAsked, JoinAsked
from feature_store.serving.api.documents import ref, table_answers
from feature_store.serving.api.forms import Form, json_list, pieces, written
from feature_store.serving.api.historical import join, shares, spine_of_arrow, spine_of_rows, wire_columns, wire_rows
from feature_store.serving.api.models import HistoricalAnswer
from feature_store.serving.api.problems import Problem, invalid
from feature_store.serving.api.reading import KEY, backend_of, form_of, once_each

router = APIRouter(prefix="/v1", dependencies=[KEY, Depends(once_each)], default_response_class=Response)

_M = TypeVar("_M", bound=BaseModel)

_LISTS = frozenset({"featureIds"})

_EXAMPLE = {
    "spine": [{"at": "2024-05-29T14:30:00Z"}, {"at": "2024-05-30T14:30:00Z"}],
    "featureIds": ["macro/us/net_liquidity_usd", "macro/us/vix_index"],
    "maxAge": "P10D",
}


def _parameters() -> list[dict[str, Any]]:
    """The query parameters of an Arrow request, all optional: a JSON body says the same itself."""
    found = []
    schema = JoinAsked.model_json_schema()
    for name, held in schema["properties"].items():
        told = {key: value for key, value in held.items() if key not in ("title", "default", "description")}
        description = f"With a body in Arrow: {held['description']}"
        found.append({"name": name, "in": "query", "required": False, "description": description, "schema": told})
    return found


@router.post(
    "/historical",
    operation_id="joinHistorical",
    summary="The point-in-time join",
    tags=["points"],
    responses=table_answers(
        HistoricalAnswer,
        "invalid-request",
        "unknown-feature",
        "unsupported-media-type",
        "too-large",
        "database-away",
        "archive-away",
        backfilled_share="What share of each feature's values was backfilled, as JSON.",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A spine as JSON, or as an Arrow IPC stream with `at` and, where wanted, `as_of`.",
            "content": {
                Form.JSON.value: {"schema": ref(HistoricalAsked), "example": _EXAMPLE},
                Form.ARROW.value: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "parameters": _parameters(),
    },
)
async def historical(request: Request) -> Response:
    """For each row of the spine the newest point of each feature whose period was over at `at`, as known then."""
    form = form_of(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        media not in (Form.JSON.value, Form.ARROW.value)
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise Problem(
            "unsupported-media-type",
            f"a spine comes as {Form.JSON.value} or {Form.ARROW.value}, without Content-Encoding",
        )
    body = await request.body()
    return await to_thread.run_sync(_answer, request, form, media, body)


def _answer(request: Request, form: Form, media: str, body: bytes) -> Response:
    asked, spine = _json_asked(request, body) if media == Form.JSON.value else _arrow_asked(request, body)
    if isinstance(asked.max_age, dict) and (strange := set(asked.max_age) - set(asked.feature_ids)):
        raise invalid("maxAge", f"names {min(strange)!r}, which is not asked for")
    joined = join(backend_of(request).layer, spine, asked)
    request.state.points = joined.num_rows * len(asked.feature_ids)
    share = shares(joined)
    if form is Form.JSON:
        rows = (wire_rows(piece, asked.feature_ids, detail=asked.detail) for piece in pieces(joined))
        content = json_list(b'{"rows":[', rows, b'],"backfilledShare":%s}' % share.encode())
    else:
        table = wire_columns(joined)
        content = written(form, table.schema, pieces(table))
    return StreamingResponse(content, media_type=form.content_type, headers={"Backfilled-Share": share})


def _json_asked(request: Request, body: bytes) -> tuple[HistoricalAsked, pa.Table]:
    for name in request.query_params:
        raise invalid(f"query.{name}", "is unknown here: beside a JSON body there are no parameters")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("body", f"is no JSON: {error}") from None
    asked = _read(HistoricalAsked, content, ("body",))
    return asked, spine_of_rows(asked)


def _arrow_asked(request: Request, body: bytes) -> tuple[JoinAsked, pa.Table]:
    parameters = request.query_params
    given = {name: parameters.getlist(name) if name in _LISTS else parameters[name] for name in parameters}
    asked = _read(JoinAsked, given, ("query",))
    return asked, spine_of_arrow(body)


def _read(model: type[_M], content: Any, place: Sequence[str]) -> _M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise failures.of_validation([{**each, "loc": (*place, *each["loc"])} for each in error.errors()]) from None
