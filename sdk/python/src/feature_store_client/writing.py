"""Writing points, so that an attempt that is repeated never writes them twice."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal
from uuid import uuid4

from feature_store_client.errors import InvalidRequest
from feature_store_client.instants import instant
from feature_store_client.problems import point_error
from feature_store_client.results import NewPoint, WriteResult
from feature_store_client.wire import Answer, Flow, Request, read_json

MOST_POINTS = 10_000
"""How many points a request carries."""

Mode = Literal["all", "each"]


def write_feature_points(
    points: Iterable[NewPoint], mode: Mode = "all", idempotency_key: str | None = None
) -> Flow[WriteResult]:
    """Write points. "all" writes nothing and raises PointsRejected when one fails; "each" writes those that pass.

    The idempotency key is made here where none is given, and is the same in every attempt, so that points are written
    once however often an answer is lost. Give one of your own to go on after your program was ended in between.
    "all" takes 10,000 points at most; "each" sends more in parts.
    """
    bodies = [_body(number, point) for number, point in enumerate(points)]
    key = idempotency_key or uuid4().hex
    parts = _parts(bodies) if mode == "each" else [bodies]
    results = []
    for number, part in enumerate(parts):
        of_part = key if len(parts) == 1 else f"{key}:{number}"
        answer = yield _request(part, mode, of_part)
        results.append(_result(answer, offset=number * MOST_POINTS))
    return _together(results)


def _request(points: Sequence[Any], mode: Mode, key: str) -> Request:
    content = json.dumps({"points": points, "mode": mode}, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    return Request("POST", "/v1/publish", content=content, headers=headers)


def _body(number: int, point: NewPoint) -> dict[str, Any]:
    """The point as the wire has it; raises InvalidRequest, with its index, for what JSON cannot say."""
    where = f"points[{number}]"
    for name, value in (("value", point.value), ("confidence", point.confidence)):
        if not math.isfinite(value):
            raise InvalidRequest(
                f"{where}.{name} is {value}, and JSON has no such number: {point.feature_id} {point.ts}"
            )
    told = {
        "featureId": point.feature_id,
        "ts": instant(f"{where}.ts", point.ts),
        "value": float(point.value),
        "confidence": float(point.confidence),
        "meta": dict(point.meta),
        "evidence": [dict(each) for each in point.evidence],
        "provisional": point.provisional,
    }
    if point.available_at is not None:
        told["availableAt"] = instant(f"{where}.available_at", point.available_at)
    try:
        json.dumps(told, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{where}: meta and evidence must be JSON: {error}") from None
    return told


def _parts(points: Sequence[Any]) -> list[Sequence[Any]]:
    return [points[start : start + MOST_POINTS] for start in range(0, max(len(points), 1), MOST_POINTS)]


def _result(answer: Answer, offset: int) -> WriteResult:
    told = read_json(answer)
    return WriteResult(
        told["inserted"],
        told["duplicate"],
        told["failed"],
        [point_error(each, offset) for each in told["errors"]],
        replayed=answer.headers.get("idempotent-replayed") == "true",
    )


def _together(results: Sequence[WriteResult]) -> WriteResult:
    first, *others = results
    for each in others:
        first = replace(
            first,
            inserted=first.inserted + each.inserted,
            duplicate=first.duplicate + each.duplicate,
            failed=first.failed + each.failed,
            errors=[*first.errors, *each.errors],
            replayed=first.replayed or each.replayed,
        )
    return first
