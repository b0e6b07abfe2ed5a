"""The archive on S3: Parquet files of what features hold, the history of all versions, and the bytes the sources sent.

`export` writes one file per feature and UTC day, `commit_history` appends new versions to the history, `retire` takes
days that the history has out of the database and `restore` brings them back. `move_payloads` takes landed bytes out of
it, `read_payload` reads them wherever they lie and `expire_payloads` lets them go. `publish_data_docs` shows the
pages of Data Docs there. `verify` reads all of it again, `set_up` makes the bucket what it should be.
"""

from feature_store.archive.data_docs import PublishedDocs, publish_data_docs
from feature_store.archive.export import Exported, export
from feature_store.archive.history import commit_history, open_history
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
from feature_store.archive.restore import restore
from feature_store.archive.retention import Retired, retire
from feature_store.archive.setup import SetUp, set_up
from feature_store.archive.tidying import Tidied, tidy_history
from feature_store.archive.verify import Verified, verify
from feature_store.archive.versions import open_versions

__all__ = [
    "Due",
    "Expired",
    "Exported",
    "Moved",
    "PublishedDocs",
    "Retired",
    "SetUp",
    "Tidied",
    "Verified",
    "commit_history",
    "due_payloads",
    "expire_payloads",
    "export",
    "landed_payloads",
    "move_payloads",
    "open_history",
    "open_versions",
    "publish_data_docs",
    "read_payload",
    "restore",
    "retire",
    "set_up",
    "tidy_history",
    "verify",
]
