"""The pages of Data Docs in the bucket, as they are in the state directory: for whoever may read the bucket alone."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path

from feature_store.archive.s3 import CONNECTIONS, DATA_DOCS, Bucket, open_bucket
from feature_store.errors import ArchiveError
from feature_store.settings import Settings

_INDEX = "index.html"

# Of its own, lest a type depends on the files of the machine; older Pythons know no fonts.
_TYPES = MimeTypes()
_TYPES.add_type("font/woff2", ".woff2")
_TYPES.add_type("font/ttf", ".ttf")


@dataclass(frozen=True)
class PublishedDocs:
    """What was done to the files of the site in the bucket, and where its first page is."""

    index: str
    uploaded: int
    deleted: int
    unchanged: int

    def __str__(self) -> str:
        return f"{self.index}: {self.uploaded} uploaded, {self.deleted} deleted, {self.unchanged} unchanged"


def publish_data_docs(settings: Settings, site: Path) -> PublishedDocs:
    """Make `{uri}/_data_docs/` what the folder of the site is, writing only what differs; its index comes last.

    So no page that is there leads to one that is not yet. Raises ArchiveError when the site was not built, when S3 is
    away or refuses: then the next call does the rest.
    """
    if not (site / _INDEX).is_file():
        raise ArchiveError(f"there are no Data Docs at {site}: `feature-store quality docs` builds them")
    bucket = open_bucket(settings)
    held = _held(bucket)
    # Somebody may build the pages anew meanwhile: the index is as old as the list of pages, or older.
    index = (site / _INDEX).read_bytes()
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file() and path.suffix != ".tmp"}

    def upload(name: str, body: bytes) -> bool:
        """Whether the file was not there as it is."""
        # The ETag of an object that was written at once; where a bucket's own keys make another, all is written anew.
        if held.get(name) == hashlib.md5(body, usedforsecurity=False).hexdigest():
            return False
        bucket.put(DATA_DOCS + name, body, content_type=_content_type(name))
        return True

    def upload_page(name: str) -> bool:
        try:
            return upload(name, (site / name).read_bytes())
        except FileNotFoundError:  # of a run that was forgotten just now
            return False

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        uploaded = sum(pool.map(upload_page, names - {_INDEX}))
        uploaded += upload(_INDEX, index)
        gone = held.keys() - names
        list(pool.map(lambda name: bucket.delete(bucket.uri(DATA_DOCS + name)), gone))
    return PublishedDocs(bucket.uri(DATA_DOCS + _INDEX), uploaded, len(gone), len(names) - uploaded)


def _held(bucket: Bucket) -> dict[str, str]:
    """The ETag of each file of the site that is in the bucket."""
    folder = bucket.prefix + DATA_DOCS
    return {each["Key"].removeprefix(folder): each["ETag"].strip('"') for each in bucket.objects(DATA_DOCS)}


def _content_type(name: str) -> str:
    kind = _TYPES.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
