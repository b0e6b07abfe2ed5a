"""Evidence as readers get it: the answer a value came from, instead of the number of its fetch."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import psycopg

_KEPT = 10_000

_FETCHES = "select fetch_id, source, url, fetched_at, sha256 from raw.fetches where fetch_id = any(%s)"


class Evidence:
    """Expands the `evidence` column; remembers what it looked up.

    A reference is `{"source", "url", "fetchedAt", "sha256"}`: a fetch never changes, so neither does it. Where the
    bytes lie is left out, because that changes when they move. What is no fetch (the inputs of a derived value) stays.
    """

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._known: dict[str, str] = {}

    def expand(self, stored: Sequence[str]) -> list[str]:
        """JSON texts of `features_values.evidence`, expanded one by one."""
        if len(self._known) > _KEPT:
            self._known.clear()
        unknown = {text: json.loads(text) for text in stored if text not in self._known}
        if unknown:
            refs = self._refs({item["fetch"] for items in unknown.values() for item in items if _is_fetch(item)})
            for text, items in unknown.items():
                expanded = [refs.get(item["fetch"], item) if _is_fetch(item) else item for item in items]
                self._known[text] = json.dumps(expanded, ensure_ascii=False, separators=(",", ":"))
        return [self._known[text] for text in stored]

    def _refs(self, fetch_ids: set[int]) -> dict[int, dict[str, Any]]:
        return {
            fetch_id: {
                "source": source,
                "url": url,
                "fetchedAt": fetched_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "sha256": sha256,
            }
            for fetch_id, source, url, fetched_at, sha256 in self._conn.execute(_FETCHES, (list(fetch_ids),))
        }


def _is_fetch(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {"fetch"}
