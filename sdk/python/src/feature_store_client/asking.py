"""Verbs of one request: the catalog, the newest points, revisions, and where a value comes from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import sha256 as hash_of
from typing import Any
from urllib.parse import quote

from feature_store_client.errors import InvalidRequest, NoPointYet, UnexpectedAnswer
from feature_store_client.instants import Bound, Instant, bound, instant
from feature_store_client.reading import ids_of
from feature_store_client.results import (
    Assessment,
    Explanation,
    FeaturePoint,
    FeatureSource,
    FeatureSpec,
    Points,
    SourceAnswer,
    Version,
)
from feature_store_client.wire import ARROW, Flow, Request, built, params, read_arrow, read_json, records, snake_columns

_SHA256 = re.compile(r"[0-9a-f]{64}")


def get_catalog(
    search: str | None = None, *, tag: str | None = None, entity: str | None = None, source: str | None = None
) -> Flow[list[FeatureSpec]]:
    """The features that fit all that is asked, in the catalog's order.

    `search` looks in id, description and tags; `source` is a source's id or short name, for example fred.
    """
    asked = params(search=search, tag=tag, entity=entity, source=source)
    told = read_json((yield Request("GET", "/v1/catalog", asked)))
    return [_spec(each) for each in told["features"]]


def get_feature_spec(feature_id: str) -> Flow[FeatureSpec]:
    """The catalog's entry of a feature; raises UnknownFeature."""
    [name] = ids_of(feature_id)
    return _spec(read_json((yield Request("GET", f"/v1/catalog/{quote(name)}"))))


def get_latest_feature_points(feature_ids: Sequence[str] | str | None = None) -> Flow[Points]:
    """The newest point of each feature, in the order asked; of all features where none is named.

    `missing` of the answer names features without a point yet.
    """
    asked = params(feature_ids=None if feature_ids is None else ids_of(feature_ids))
    told = read_json((yield Request("GET", "/v1/latest", asked)))
    return Points([built(FeaturePoint, each) for each in told["points"]], missing=told["missing"])


def get_latest_feature_point(feature_id: str) -> Flow[FeaturePoint]:
    """The newest point of a feature; raises UnknownFeature, and NoPointYet where there is none."""
    points = yield from get_latest_feature_points([feature_id])
    if not points:
        raise NoPointYet(f"{feature_id} has no point yet: get_feature_spec says how often one comes")
    return points[0]


def revisions(
    feature_id: str, *, ts: Instant | None = None, since: Bound | None = None, until: Bound | None = None
) -> Flow[list[Version]]:
    """Every version of the point at `ts`, or of the points with since <= ts < until, in the order they were told."""
    asked = params(
        feature_id=feature_id, ts=instant("ts", ts), since=bound("since", since), until=bound("until", until)
    )
    answer = yield Request("GET", "/v1/revisions", asked, ARROW)
    return records(Version, snake_columns(read_arrow(answer)))


def explain(
    feature_id: str,
    ts: Instant,
    *,
    as_of: Instant | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
) -> Flow[Explanation]:
    """Where a value comes from: the answers of sources, or the versions of other features it was computed from."""
    asked = params(
        feature_id=feature_id,
        ts=instant("ts", ts),
        as_of=instant("as_of", as_of),
        as_stored=instant("as_stored", as_stored),
        strict=strict,
    )
    return _explanation(read_json((yield Request("GET", "/v1/explain", asked))))


def download_payload(sha256: str) -> Flow[bytes]:
    """The bytes of a source's answer as they came, held to their hash; raises BytesExpired once they were let go."""
    if not _SHA256.fullmatch(sha256):
        raise InvalidRequest(f"{sha256!r} is no SHA-256: 64 hexadecimal digits, as evidence names them")
    answer = yield Request("GET", f"/v1/payloads/{sha256}", accept="*/*")
    if hash_of(answer.content).hexdigest() != sha256:
        raise UnexpectedAnswer(f"the bytes that came are not those of {sha256}: they were changed or cut on the way")
    return answer.content


_SPEC = frozenset(each.name for each in fields(FeatureSpec)) - {"source", "more"}


def _spec(told: Mapping[str, Any]) -> FeatureSpec:
    """An entry of the catalog, whose names are its files' own and not camelCase."""
    source = told["source"]
    return FeatureSpec(
        **{name: told.get(name) for name in _SPEC},  # type: ignore[arg-type]  # as the contract has them
        source=FeatureSource(source["id"], source["class"], source["schema"]),
        more={name: value for name, value in told.items() if name not in _SPEC | {"source"}},
    )


def _explanation(told: Mapping[str, Any]) -> Explanation:
    parts = {
        "assessment": built(Assessment, told["assessment"]) if told.get("assessment") else None,
        "sources": [built(SourceAnswer, each) for each in told["sources"]],
        "inputs": [_explanation(each) for each in told["inputs"]],
    }
    return built(Explanation, {**told, **parts})
