"""Which definition version of a feature readers get: the newest that the store holds, or held at an instant."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.archive.versions import VersionReader
from feature_store.warehouse.versions import INSTANT


def definition_of(versions: VersionReader, feature: str, as_stored: datetime | None = None) -> int | None:
    """The newest definition version with rows stored by `as_stored` (None: by now); None when there is no row.

    A feature that never had another definition is not looked through.
    """
    known = versions.definitions(feature)
    if len(known) == 1:
        return known[0]
    rows = versions.read([feature], columns=["version", "ingested_at"]).read_all()
    if as_stored is not None:
        rows = rows.filter(pc.field("ingested_at") <= pa.scalar(as_stored, INSTANT))
    newest = pc.max(rows["version"]).as_py()
    return None if newest is None else int(newest)
