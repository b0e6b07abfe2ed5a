"""The endpoints that read."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer
from starlette.responses import Response, StreamingResponse

from feature_store.archive import read_payload
from feature_store.catalog import FeatureSpec
from feature_store.errors import QueryError
from feature_store.serving.api.asked import CatalogAsked, ExplainAsked, LatestAsked, QueryAsked, Range, RevisionsAsked
from feature_store.serving.api.backend import Backend
from feature_store.serving.api.documents import answers, problems, table_answers
from feature_store.serving.api.explaining import moment, told
from feature_store.serving.api.forms import Form, accepted, json_list, pieces, primed, written
from feature_store.serving.api.models import (
    CatalogAnswer,
    Explanation,
    FeatureEntry,
    LatestAnswer,
    QueryAnswer,
    RevisionsAnswer,
)
from feature_store.serving.api.pages import Page, read_page
from feature_store.serving.api.problems import Problem, invalid
from feature_store.serving.api.wire import VERSION, json_rows, micros, staleness, wire_table

REPEATED = frozenset({"featureIds"})

_WRONG = ("invalid-request", "unknown-feature")
_AWAY = ("database-away", "archive-away")


async def once_each(request: Request) -> None:
    """Refuse a parameter that is there twice and may not be: one of them would be left unread."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen and name not in REPEATED:
            raise invalid(f"query.{name}", "is given more than once")
        seen.add(name)


KEY = Security(HTTPBearer(scheme_name="key", description="A key of this store: `fs_...`.", auto_error=False))

router = APIRouter(prefix="/v1", dependencies=[KEY, Depends(once_each)], default_response_class=Response)


def backend_of(request: Request) -> Backend:
    """The store that the application reads."""
    backend: Backend = request.app.state.backend
    return backend


def form_of(request: Request, *offered: Form) -> Form:
    """The form that the request wants of those offered."""
    return accepted(", ".join(request.headers.getlist("accept")), offered or tuple(Form))


@router.get(
    "/catalog",
    operation_id="getCatalog",
    summary="The features, with what they mean",
    tags=["catalog"],
    responses=answers(CatalogAnswer, "invalid-request", "not-acceptable"),
)
async def catalog(request: Request, asked: Annotated[CatalogAsked, Query()]) -> Response:
    """Every feature that fits all that is asked, in the catalog's order."""
    form_of(request, Form.JSON)
    held = backend_of(request).catalog
    slugs = {source.id: source.slug for source in held.sources.values()}
    found = [feature for feature in held.features.values() if _fits(feature, asked, slugs)]
    return json_answer({"features": [feature.wire() for feature in found]})


def _fits(feature: FeatureSpec, asked: CatalogAsked, slugs: dict[str, str]) -> bool:
    texts = "\n".join([feature.id, feature.description, *feature.tags]).casefold()
    return (
        (asked.search is None or asked.search.casefold() in texts)
        and (asked.tag is None or asked.tag in feature.tags)
        and (asked.entity is None or asked.entity == feature.entity)
        and (asked.source is None or asked.source in (feature.source.id, slugs.get(feature.source.id)))
    )


@router.get(
    "/catalog/{featureId:path}",
    operation_id="getFeature",
    summary="One feature",
    tags=["catalog"],
    responses=answers(FeatureEntry, *_WRONG, "not-acceptable"),
)
async def feature(
    request: Request,
    feature_id: Annotated[
        str, Path(alias="featureId", description="Its id, slashes as they are.", examples=["macro/us/vix_index"])
    ],
) -> Response:
    """The catalog's entry of a feature."""
    form_of(request, Form.JSON)
    no_parameters(request)
    [found] = backend_of(request).layer.features([feature_id])
    return json_answer(found.wire())


@router.get(
    "/latest",
    operation_id="getLatest",
    summary="The newest points",
    tags=["points"],
    responses=table_answers(LatestAnswer, *_WRONG, "database-away"),
)
async def latest(request: Request, asked: Annotated[LatestAsked, Query()]) -> Response:
    """The newest point of each feature, from memory: what was written is seen within milliseconds."""
    form = form_of(request)
    features = [feature.id for feature in backend_of(request).layer.features(asked.feature_ids)]
    held = request.app.state.latest.now()
    if form is Form.JSON:
        question = request.scope["query_string"]
        request.app.state.latest.learn(question, features)
        body, request.state.points = held.json(features)
        return Response(body, media_type=Form.JSON.value)
    points = held.chosen(features)
    request.state.points = points.num_rows
    return StreamingResponse(written(form, points.schema, pieces(points)), media_type=form.content_type)


@router.get(
    "/query",
    operation_id="queryPoints",
    summary="Points of a range, as known or stored at any instant",
    tags=["points"],
    responses=table_answers(
        QueryAnswer,
        *_WRONG,
        *_AWAY,
        link="The next page of the same form, rel=next.",
        backfilled_share="What share of the page's values was backfilled.",
        as_stored="The state of the store that the read is of.",
    ),
)
def query(request: Request, asked: Annotated[QueryAsked, Query()]) -> Response:
    """By feature in the order asked, then by ts. The pages of one read are of one state of the store."""
    form = form_of(request)
    _refuse_backwards(asked)
    backend = backend_of(request)
    page = read_page(backend.layer, asked)
    request.state.points = page.points.num_rows
    tables = primed(_wire_points(backend, page))
    headers = {
        "Backfilled-Share": json.dumps(page.backfilled_share),
        "As-Stored": moment(page.as_stored),
        **_link(request, page.next_cursor),
    }
    if form is Form.JSON:
        content = json_list(b'{"points":[', (json_rows(table) for table in tables), _page_end(page))
    else:
        content = written(form, wire_table(_staled(page.points, backend, page.now)).schema, tables)
    return StreamingResponse(content, media_type=form.content_type, headers=headers)


def _refuse_backwards(asked: Range) -> None:
    if asked.since is not None and asked.until is not None and asked.until < asked.since:
        raise invalid("query.until", "lies before since")


def _wire_points(backend: Backend, page: Page) -> Iterator[pa.Table]:
    for piece in pieces(page.points):
        yield wire_table(_staled(backend.with_evidence(piece), backend, page.now))


def _staled(rows: pa.Table, backend: Backend, now: datetime) -> pa.Table:
    return rows.append_column("stale", staleness(rows, backend.catalog.features, micros(now)))


def _page_end(page: Page) -> bytes:
    told = {
        "nextCursor": page.next_cursor,
        "backfilledShare": page.backfilled_share,
        "asStored": moment(page.as_stored),
    }
    return b"]," + json.dumps(told, separators=(",", ":")).encode()[1:]


def _link(request: Request, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    address = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{address.path}?{address.query}>; rel="next"'}


@router.get(
    "/revisions",
    operation_id="getRevisions",
    summary="Every version of a point, or of the points of a range",
    tags=["history"],
    responses=table_answers(RevisionsAnswer, *_WRONG, *_AWAY),
)
def revisions(request: Request, asked: Annotated[RevisionsAsked, Query()]) -> Response:
    """In the order in which they were told: the triangle."""
    form = form_of(request)
    if asked.ts is not None and (asked.since is not None or asked.until is not None):
        raise invalid("query.ts", "names one point: leave out since and until")
    _refuse_backwards(asked)
    backend = backend_of(request)
    rows = backend.layer.revisions(asked.feature_id, asked.since, asked.until, ts=asked.ts, limit=asked.limit)
    request.state.points = rows.num_rows
    tables = primed(wire_table(backend.with_evidence(piece), VERSION) for piece in pieces(rows))
    if form is Form.JSON:
        before = b'{"featureId":%s,"versions":[' % json.dumps(asked.feature_id).encode()
        content = json_list(before, (json_rows(table) for table in tables), b"]}")
    else:
        content = written(form, wire_table(rows, VERSION).schema, tables)
    return StreamingResponse(content, media_type=form.content_type)


@router.get(
    "/explain",
    operation_id="explainPoint",
    summary="Where a value comes from",
    tags=["history"],
    responses=answers(Explanation, *_WRONG, *_AWAY, "not-found", "not-acceptable"),
)
def explain(request: Request, asked: Annotated[ExplainAsked, Query()]) -> Response:
    """Back to the answers of sources, or to the versions of other features that it was computed from."""
    form_of(request, Form.JSON)
    state: dict[str, Any] = {"as_of": asked.as_of, "as_stored": asked.as_stored, "strict": asked.strict}
    try:
        found = backend_of(request).layer.explain(asked.feature_id, asked.ts, **state)
    except QueryError as error:  # of parameters that make sense
        raise Problem("not-found", str(error), remedy="GET /v1/revisions lists the versions that there are.") from None
    request.state.points = 1
    return json_answer(told(found))


@router.get(
    "/payloads/{sha256}",
    operation_id="getPayload",
    summary="The bytes of an answer as they came",
    tags=["history"],
    responses={
        200: {"description": "The bytes.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(
            "missing-key", "missing-scope", "rate-limited", "invalid-request", "not-found", "expired-bytes", *_AWAY
        ),
    },
)
def payload(
    request: Request,
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Their SHA-256, as evidence names it.")],
) -> Response:
    """What a source answered, byte for byte, as a file to save."""
    no_parameters(request)
    backend = backend_of(request)
    with backend.connection() as conn:
        row = conn.execute(_CONTENT_TYPE, (sha256,)).fetchone()
        if row is None:
            raise Problem("not-found", f"no answer with the hash {sha256} is known")
        content = read_payload(conn, backend.settings, sha256)
    headers = {"Content-Disposition": f'attachment; filename="{sha256}"', "Content-Security-Policy": "sandbox"}
    return Response(content, media_type=_harmless(row[0]), headers=headers)


_CONTENT_TYPE = """
select (
  select f.content_type from raw.fetches as f where f.sha256 = p.sha256 and f.content_type is not null
  order by f.fetch_id limit 1
) from raw.payloads as p where p.sha256 = %s
"""

# What a browser might run. No source sends anything else than printable ASCII here, and no other header could.
_RISKY = re.compile(r"html|xml|svg|script|[^ -~]", re.IGNORECASE)


def _harmless(content_type: str | None) -> str:
    """The type that the source gave, unless a browser might run it."""
    return "application/octet-stream" if not content_type or _RISKY.search(content_type) else content_type


def no_parameters(request: Request) -> None:
    """Refuse any parameter."""
    for name in request.query_params:
        raise invalid(f"query.{name}", "is unknown here")


def json_answer(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """JSON of what is small."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type=Form.JSON.value, headers=headers)
