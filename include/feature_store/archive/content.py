"""Comparing stores: one hash over what is known, wherever it lies."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from feature_store.archive.versions import open_versions
from feature_store.settings import Settings
from feature_store.warehouse.versions import KEY, Digest, eligible, newest_of_each

_COLUMNS = ("version", "ts", "available_at", "available_basis", "value")


def content_hash(settings: Settings, as_of: datetime | None = None, features: Sequence[str] | None = None) -> str:
    """SHA-256 over (feature_id, version, ts, available_at, basis, value) of state (as_of, ∞), in key order.

    `as_of` is an aware instant; None means everything known. `features` are ids; None means all. Two stores of equal
    content have equal hashes, whatever of it is retired. Withdrawn points and older definitions are content too.
    """
    whole = sha256()
    with open_versions(settings) as versions:
        for feature in sorted(versions.features() if features is None else set(features)):
            rows = versions.read([feature], columns=(*KEY, *_COLUMNS)).read_all()
            if not rows.num_rows:
                continue
            digest = Digest(_COLUMNS)
            digest.update(newest_of_each(eligible(rows, as_of)))
            whole.update(f"{feature}\n{digest.hexdigest()}\n".encode())
    return whole.hexdigest()
