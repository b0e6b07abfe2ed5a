"""The OpenAPI document is whole, its examples are true, and the page that shows it needs nobody else."""

import json
import re
from typing import Any

import jsonschema
import pytest

from feature_store.serving.api.problems import KINDS

from .served import LIQUIDITY, PRICE, VIX, Served


@pytest.fixture(scope="module")
def document(store: Served) -> dict[str, Any]:
    with store.client(key="") as client:
        return dict(client.get("/openapi.json").json())


def schema(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    found = content.get("application/json") or content["application/problem+json"]
    return {**found["schema"], "components": document["components"]}


ASKED = [
    ("/v1/catalog", {}),
    ("/v1/catalog/{featureId}", {"featureId": VIX}),
    ("/v1/latest", {}),
    ("/v1/query", {"featureIds": [PRICE, VIX, LIQUIDITY], "vintage": "all"}),
    ("/v1/revisions", {"featureId": PRICE}),
    ("/v1/explain", {"featureId": LIQUIDITY, "ts": "2024-05-29T00:00:00Z"}),
    ("/healthz", {}),
    ("/readyz", {}),
]


@pytest.mark.parametrize(("path", "asked"), ASKED)
def test_answers_are_as_their_schemas_say(
    store: Served, document: dict[str, Any], path: str, asked: dict[str, Any]
) -> None:
    answer = store.get(
        path.format(**asked), **{name: value for name, value in asked.items() if f"{{{name}}}" not in path}
    )
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), schema(document, path, "get", 200))


def test_a_join_and_a_problem_are_as_their_schemas_say(store: Served, document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/historical"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    with store.client() as client:
        for body in (example, {**example, "detail": True}):
            answer = client.post("/v1/historical", json=body)
            assert answer.status_code == 200, "the example is true"
            jsonschema.validate(answer.json(), schema(document, "/v1/historical", "post", 200))
        wrong = client.post("/v1/historical", json={})
    jsonschema.validate(wrong.json(), schema(document, "/v1/historical", "post", 422))


def test_everything_that_the_document_refers_to_is_in_it(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"][name])


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation["summary"], path
            assert operation["tags"], path
            for parameter in operation.get("parameters", []):
                assert parameter.get("description"), (path, method, parameter["name"])
            if path.startswith("/v1/"):
                assert operation["security"] == [{"key": []}]
                assert {"401", "403", "429"} <= set(operation["responses"])
    assert len(set(names)) == len(names)


def test_every_problem_has_an_example(document: dict[str, Any]) -> None:
    shown = {
        slug
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for slug in answer["content"].get("application/problem+json", {}).get("examples", {})
    }
    of_paths = {"method-not-allowed"}  # of no operation
    assert shown == set(KINDS) - of_paths


def test_the_examples_of_parameters_are_answered(store: Served, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            [example] = parameter.get("schema", {}).get("examples", [None])[:1]
            if (
                example is not None
                and parameter["in"] == "query"
                and parameter["name"] in ("featureIds", "search", "tag")
            ):
                assert store.get(path, **{parameter["name"]: example}).status_code == 200, (path, parameter["name"])


def test_the_page_loads_nothing_from_another_host(store: Served) -> None:
    with store.client(key="") as client:
        page = client.get("/docs")
        assert page.status_code == 200
        addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        start = client.get("/docs/start.js").text
        addresses += re.findall(r'url: "([^"]+)"', start)
        assert addresses
        for address in addresses:
            assert address.startswith("/"), address
            assert not address.startswith("//"), address
            answer = client.get(address)
            assert answer.status_code == 200, address
            if address.endswith(".css"):
                assert not re.findall(r"url\((?!['\"]?data:)|@import", answer.text)
        policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http:" not in policy
    assert "https:" not in policy
