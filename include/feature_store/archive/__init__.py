"""The archive on S3: Parquet files of what features hold, and the bytes the sources sent.

`export` writes one file per feature and UTC day, `move_payloads` takes landed bytes out of the database and
`read_payload` reads them wherever they lie, `set_up` makes the bucket what it should be.
"""

from feature_store.archive.export import Exported, export
from feature_store.archive.payloads import Moved, move_payloads, read_payload
from feature_store.archive.setup import SetUp, set_up

__all__ = ["Exported", "Moved", "SetUp", "export", "move_payloads", "read_payload", "set_up"]
