"""The parts of the OpenAPI document that FastAPI cannot know: forms, problems, headers."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from feature_store.serving.api import models
from feature_store.serving.api.asked import HistoricalAsked
from feature_store.serving.api.forms import Form
from feature_store.serving.api.problems import KINDS, MEDIA_TYPE, TYPE
from feature_store.serving.publishing import PublishRequest

_ANSWERED: tuple[type[BaseModel], ...] = (
    models.CatalogAnswer, models.Explanation, models.FeatureEntry, models.FeaturePoint, models.Health,
    models.HistoricalAnswer, models.LatestAnswer, models.ProblemDetails, models.PublishResult,
    models.QueryAnswer, models.RevisionsAnswer,
)  # fmt: skip

_KEYED = ("missing-key", "invalid-key", "expired-key", "missing-scope", "rate-limited", "internal")
"""What may come of any request with a key."""

_HEADERS = {
    "X-Request-Id": "Names the request in the log; the one that was sent, where it was one.",
    "RateLimit-Policy": "How many requests the key may make in how many seconds.",
    "RateLimit": "How many of them are left, and in how many seconds there are more.",
}


def ref(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a model's schema."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def answers(model: type[BaseModel], *slugs: str, **headers: str) -> dict[int | str, dict[str, Any]]:
    """The answers of an endpoint that gives JSON alone, its headers, and its problems beside those of every key."""
    return _answered({Form.JSON.value: {"schema": ref(model)}}, slugs, headers)


def table_answers(model: type[BaseModel], *slugs: str, **headers: str) -> dict[int | str, dict[str, Any]]:
    """The same of an endpoint that gives tables, in every form."""
    content: dict[str, Any] = {
        Form.JSON.value: {"schema": ref(model)},
        Form.CSV.value: {"schema": {"type": "string"}},
        Form.NDJSON.value: {"schema": {"type": "string", "description": "One JSON object a line."}},
        Form.ARROW.value: {"schema": {"type": "string", "format": "binary"}},
    }
    return _answered(content, ("not-acceptable", *slugs), headers)


def _answered(
    content: dict[str, Any], slugs: Iterable[str], headers: dict[str, str]
) -> dict[int | str, dict[str, Any]]:
    told = {_header(name): {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return {
        200: {"description": "What was asked for.", "content": content, "headers": told},
        **problems(*_KEYED, *slugs),
    }


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The problems of those slugs, by status, with an example of each."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = KINDS[slug]
        media = {"schema": ref(models.ProblemDetails), "examples": {}}
        told = found.setdefault(kind.status, {"description": kind.title, "content": {MEDIA_TYPE: media}})
        told["content"][MEDIA_TYPE]["examples"][slug] = {"summary": kind.title, "value": _example(slug)}
    return found


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once."""
    if app.openapi_schema is None:
        from fastapi.openapi.utils import get_openapi

        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        template = "#/components/schemas/{model}"
        _, told = models_json_schema([(model, "serialization") for model in _ANSWERED], ref_template=template)
        _, asked = models_json_schema(
            [(HistoricalAsked, "validation"), (PublishRequest, "validation")], ref_template=template
        )
        schemas |= told["$defs"] | asked["$defs"]
        for path in document["paths"].values():
            for operation in path.values():
                _tell_headers(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _tell_headers(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        names = list(_HEADERS) if operation.get("security") and status != "401" else ["X-Request-Id"]
        told = {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}
        if status in ("429", "503"):
            told["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "string"}}
        answer["headers"] = {**told, **answer.get("headers", {})}


def _header(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("_"))


def _example(slug: str) -> dict[str, Any]:
    kind = KINDS[slug]
    return {
        "type": f"{TYPE}{slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": _DETAILS.get(slug, kind.title),
        "instance": "/v1/query",
        "remedy": kind.remedy,
        "requestId": "0b6d8f6c2f0e4a51a2a6c1f1c2f7f1aa",
    }


_DETAILS = {
    "unknown-feature": "there is no feature 'macro/us/vix': did you mean 'macro/us/vix_index'?",
    "invalid-request": "query.since: names no time zone: give one, for example 2024-05-29T14:30:00Z",
    "missing-scope": "the key 'dashboards' lacks the scope publish",
    "not-acceptable": "there is application/json, and Accept wants none of it",
}
