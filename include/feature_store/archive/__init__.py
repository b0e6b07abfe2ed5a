"""The archive on S3: Parquet files of what features hold, and the bytes the sources sent.

`export` writes one file per feature and UTC day, `move_payloads` takes landed bytes out of the database, `read_payload`
reads them wherever they lie and `expire_payloads` lets them go, `set_up` makes the bucket what it should be.
"""

from feature_store.archive.export import Exported, export
from feature_store.archive.payloads import (
    Due,
    Expired,
    Moved,
    due_payloads,
    expire_payloads,
    landed_payloads,
    move_payloads,
    read_payload,
)
from feature_store.archive.setup import SetUp, set_up

__all__ = [
    "Due",
    "Expired",
    "Exported",
    "Moved",
    "SetUp",
    "due_payloads",
    "expire_payloads",
    "export",
    "landed_payloads",
    "move_payloads",
    "read_payload",
    "set_up",
]
