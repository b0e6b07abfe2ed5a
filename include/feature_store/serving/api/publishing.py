"""The endpoint that publishes: what it took is in latest when its answer arrives."""

from typing import Annotated, Any

import structlog
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response

from feature_store.errors import FeatureStoreError
from feature_store.serving.api.access import Caller
from feature_store.serving.api.documents import answers, ref
from feature_store.serving.api.forms import Form
from feature_store.serving.api.models import PublishResult
from feature_store.serving.api.problems import Problem
from feature_store.serving.api.reading import KEY, backend_of, form_of, json_answer, no_parameters, once_each
from feature_store.serving.publishing import PublishAnswer, Publisher, PublishRequest, publish

router = APIRouter(prefix="/v1", dependencies=[KEY, Depends(once_each)], default_response_class=Response)

log = structlog.get_logger()

_EXAMPLE = {
    "points": [{"featureId": "crypto/etf/btc_net_flow_usd", "ts": "2024-05-29T00:00:00Z", "value": 28_000_000.0}]
}


@router.post(
    "/publish",
    operation_id="publishPoints",
    summary="Publish points",
    tags=["publishing"],
    responses=answers(
        PublishResult,
        "invalid-request",
        "points-failed",
        "idempotency-mismatch",
        "not-acceptable",
        "unsupported-media-type",
        "too-large",
        "database-away",
        idempotent_replayed="true where the answer is that to an earlier request of the same Idempotency-Key.",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {Form.JSON.value: {"schema": ref(PublishRequest), "example": _EXAMPLE}},
        }
    },
)
async def publish_points(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="1 to 255 printable ASCII characters: the same again writes nothing again.", examples=["run-17"]
        ),
    ] = None,
) -> Response:
    """In mode `all` everything or nothing is written, in mode `each` what passes the catalog's rules."""
    form_of(request, Form.JSON)
    no_parameters(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != Form.JSON.value or request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported-media-type", f"points come as {Form.JSON.value}, without Content-Encoding")
    body = await request.body()
    answer = await to_thread.run_sync(_published, request, body, idempotency_key)
    if answer.inserted and not answer.is_replayed:
        await _tell_latest(request)
    request.state.points = answer.inserted
    return _told(answer)


def _published(request: Request, body: bytes, idempotency_key: str | None) -> PublishAnswer:
    backend, caller = backend_of(request), request.state.caller
    assert isinstance(caller, Caller)
    publisher = Publisher(caller.key_id, caller.name, caller.scopes)
    with backend.writing() as conn:
        return publish(conn, backend.catalog, body, publisher, idempotency_key)


async def _tell_latest(request: Request) -> None:
    try:
        await request.app.state.latest.refresh()
    except FeatureStoreError as error:  # what was published is committed, and will be read
        log.warning("latest cannot be read after publishing", error=str(error))


def _told(answer: PublishAnswer) -> Response:
    members: dict[str, Any] = answer.wire()
    if answer.lacks_scope:
        raise Problem(
            "missing-scope", "the key may publish none of these features: that takes the scope admin", **members
        )
    if answer.is_refused:
        raise Problem("points-failed", f"{answer.failed} of the points break rules, so none was written", **members)
    replayed = {"Idempotent-Replayed": "true"} if answer.is_replayed else {}
    return json_answer(members, replayed)
