"""The application: endpoints behind the gate, and what goes wrong as problems."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import psycopg
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from feature_store.catalog import Catalog
from feature_store.errors import FeatureStoreError
from feature_store.serving.api import docs, failures, joining, publishing, reading
from feature_store.serving.api.access import Access
from feature_store.serving.api.backend import Backend
from feature_store.serving.api.documents import describe, problems, ref
from feature_store.serving.api.gate import App, Gate, internal
from feature_store.serving.api.latest import LatestCache, LatestShortcut
from feature_store.serving.api.models import Health
from feature_store.serving.api.problems import MEDIA_TYPE, Problem
from feature_store.serving.api.scraping import Metrics
from feature_store.settings import Settings
from feature_store.warehouse.migrate import MIGRATIONS

_DESCRIPTION = """\
One place for every number that models and dashboards use, with what was known when.

Every instant is ISO 8601 with a zone; answers are in UTC. Tables come as JSON, CSV, NDJSON or Arrow, by `Accept`.
What goes wrong is a problem by RFC 9457, with what to do about it in `remedy`.
"""

_TAGS = [
    {"name": "catalog", "description": "What the features are."},
    {"name": "points", "description": "What they were, and are."},
    {"name": "history", "description": "What was told when, and where it came from."},
    {"name": "publishing", "description": "What people and programs bring themselves."},
    {"name": "service", "description": "How the service is."},
]

_EXPOSED = ("Link", "Backfilled-Share", "As-Stored", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


def create_app(settings: Settings, catalog: Catalog, access: Access) -> App:
    """The application over one store, for the keys that `access` knows. It starts and stops both with itself."""
    backend = Backend.of(settings, catalog)
    latest = LatestCache(backend)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        backend.open()
        await access.start()
        await latest.start()
        yield
        await latest.stop()
        await access.stop()
        backend.close()

    app = FastAPI(
        title="Feature Store",
        version=version("feature-store"),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        routes=docs.routes(),
    )
    app.state.backend, app.state.latest = backend, latest
    app.include_router(reading.router)
    app.include_router(joining.router)
    app.include_router(publishing.router)
    _serve_health(app)
    _serve_metrics(app, Metrics(backend), access)
    _explain_failures(app)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    gate = Gate(app, access, {"/v1/latest": LatestShortcut(latest, app)})
    return _across_origins(gate, settings)


def _across_origins(gate: App, settings: Settings) -> App:
    """The gate for pages of the origins in FEATURE_API_CORS_ORIGINS, too; preflights have no key."""
    origins = [origin.strip() for origin in settings.api_cors_origins.split(",") if origin.strip()]
    if not origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=_EXPOSED,
        max_age=600,
    )


def _serve_health(app: FastAPI) -> None:
    told: dict[int | str, dict[str, Any]] = {
        200: {"description": "It is.", "content": {"application/json": {"schema": ref(Health)}}}
    }

    @app.get("/healthz", operation_id="isAlive", summary="Whether the process lives", tags=["service"], responses=told)
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get(
        "/readyz",
        operation_id="isReady",
        summary="Whether the database can be asked, and has every migration",
        tags=["service"],
        responses={**told, **problems("database-away")},
    )
    async def readyz(request: Request) -> Response:
        lacking = await to_thread.run_sync(_migrations_lacking, request.app.state.backend)
        if lacking:
            raise Problem("database-away", f"the database lacks {lacking} migrations", remedy="`make up` applies them.")
        return JSONResponse({"status": "ready"})


def _serve_metrics(app: FastAPI, metrics: Metrics, access: Access) -> None:
    told: dict[int | str, dict[str, Any]] = {
        200: {"description": "All metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    }

    @app.get(
        "/metrics",
        operation_id="getMetrics",
        summary="What Prometheus scrapes",
        tags=["service"],
        responses={**told, **problems("database-away")},
    )
    async def metrics_of_store(request: Request) -> Response:
        await access.write_down()
        body, media_type = await to_thread.run_sync(metrics.told, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})


def _migrations_lacking(backend: Backend) -> int:
    names = [path.name for path in MIGRATIONS.glob("*.sql")]
    with backend.connection() as conn:
        row = conn.execute(
            "select count(*) from unnest(%s::text[]) as n where n not in (select name from ops.migrations)", (names,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def _explain_failures(app: FastAPI) -> None:
    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return _told(request, error)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _told(request, failures.of_validation(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _told(request, failures.of_http(error, request.url.path))

    async def on_error(request: Request, error: Exception) -> Response:
        return _told(request, failures.of_error(error, request.state.request_id))

    async def on_anything(request: Request, _: Exception) -> Response:
        return _told(request, internal())  # raised again after this, and logged by the gate

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(FeatureStoreError, on_error)
    app.add_exception_handler(psycopg.OperationalError, on_error)
    app.add_exception_handler(Exception, on_anything)


def _told(request: Request, problem: Problem) -> Response:
    body = problem.body(request.url.path, request.state.request_id)
    return Response(body, problem.kind.status, headers=problem.headers, media_type=MEDIA_TYPE)
