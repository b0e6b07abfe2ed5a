"""What went wrong, as RFC 9457 has it: one kind of problem a slug, with what to do about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "application/problem+json"

TYPE = "urn:feature-store:problem:"


@dataclass(frozen=True)
class Kind:
    """What all problems of a slug have in common."""

    status: int
    title: str
    remedy: str


KINDS: Mapping[str, Kind] = {
    "missing-key": Kind(401, "A key is needed", "Send a key: Authorization: Bearer fs_..."),
    "invalid-key": Kind(
        401, "The key is not valid", "Check the key, or ask for a new one: `feature-store keys create`."
    ),
    "expired-key": Kind(401, "The key has expired", "Ask for a new key: `feature-store keys rotate`."),
    "missing-scope": Kind(403, "The key may not do this", "Use a key that has the scope."),
    "rate-limited": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "unknown-feature": Kind(404, "There is no such feature", "GET /v1/catalog lists the features."),
    "invalid-request": Kind(422, "The request makes no sense", "Correct what `errors` names; /docs describes it."),
    "not-found": Kind(404, "There is nothing here", "/docs lists the paths and what they give."),
    "method-not-allowed": Kind(405, "The method is not allowed here", "Use a method that the header Allow names."),
    "not-acceptable": Kind(406, "The answer has no such form", "Ask for a form that `detail` names, in Accept."),
    "unsupported-media-type": Kind(415, "The body has a form that is not read", "Send a form that `detail` names."),
    "too-large": Kind(413, "The request is too large", "Send it in parts."),
    "points-failed": Kind(
        422, "Points failed, and nothing was written", "Correct what `errors` names, or use mode each."
    ),
    "idempotency-mismatch": Kind(422, "The key of the request was used for another body", "Use a new Idempotency-Key."),
    "expired-bytes": Kind(410, "The bytes have expired", "Their SHA-256 and their fetches remain: GET /v1/explain."),
    "archive-away": Kind(503, "The archive cannot be reached", "Try again as Retry-After says."),
    "database-away": Kind(503, "The database cannot be reached", "Try again as Retry-After says."),
    "internal": Kind(
        500, "Something went wrong here", "Tell the store's keepers the requestId: their log has the rest."
    ),
}
"""Every problem there is, by its slug."""

AWAY = {"Retry-After": "2"}
"""What an answer of 503 says: a service that died is back in about that many seconds."""


class Problem(Exception):  # noqa: N818 - RFC 9457 names it so
    """An answer instead of the one that was asked for."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """`slug` is one of KINDS, `members` are what the problem tells beyond what each has."""
        super().__init__(detail)
        self.slug = slug
        self.kind = KINDS[slug]
        self.detail = detail
        self.remedy = remedy or self.kind.remedy
        self.headers = {**(AWAY if self.kind.status == 503 else {}), **(headers or {})}
        self.members = members

    def body(self, instance: str, request_id: str) -> bytes:
        """The JSON of the answer to a request for the path `instance`."""
        told = {
            "type": f"{TYPE}{self.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "remedy": self.remedy,
            "requestId": request_id,
            **self.members,
        }
        return json.dumps(told, ensure_ascii=False).encode(errors="replace")


def invalid(where: str, problem: str) -> Problem:
    """One mistake in a request: `where` is for example query.since or body.spine.0.at."""
    return Problem("invalid-request", f"{where}: {problem}", errors=[{"where": where, "problem": problem}])
