"""The bucket of FEATURE_STORE_EXPORT_S3_URI: objects in, objects out, errors in words.

Without FEATURE_STORE_S3_ENDPOINT it is the embedded server's, with its generated keys. With one, boto3 finds
credentials and region itself: AWS_ACCESS_KEY_ID, AWS_PROFILE, a role.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from feature_store.errors import ArchiveError
from feature_store.settings import Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

CONNECTIONS = 16
"""How many objects are on their way at once."""

EXPORT_TAG = "layer=export"
"""The tag of exported files: the bucket's lifecycle goes by it."""

PAYLOADS = "_payloads/"
"""The folder of the bytes of answers, below the archive's own; the lifecycle of deleted ones goes by it."""

DATA_DOCS = "_data_docs/"
"""The folder of the pages of Data Docs, likewise."""


@dataclass(frozen=True)
class Bucket:
    """The bucket and the folder in it that the archive owns; keys are relative to that folder."""

    client: "S3Client" = field(repr=False)
    endpoint: str
    name: str
    prefix: str

    def uri(self, key: str) -> str:
        """`s3://bucket/prefix/key`."""
        return f"s3://{self.name}/{self.prefix}{key}"

    def put(self, key: str, body: bytes, tags: str = "", content_type: str = "binary/octet-stream") -> datetime:
        """Write an object in one request; returns when, by the server's clock, UTC. Raises ArchiveError."""
        with self.asking(f"write {self.uri(key)}"):
            answer = self.client.put_object(
                Bucket=self.name, Key=self.prefix + key, Body=body, Tagging=tags, ContentType=content_type
            )
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def now(self) -> datetime:
        """The server's clock, UTC: what the times of objects are told by. Raises ArchiveError."""
        with self.asking("tell the time"):
            answer = self.client.head_bucket(Bucket=self.name)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def get(self, uri: str) -> bytes:
        """The object at an `s3://` URI, which may lie in an earlier bucket. Raises ArchiveError."""
        place = urlsplit(uri)
        with self.asking(f"read {uri}"):
            return self.client.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()

    def find(self, uri: str) -> bytes | None:
        """The same, or None when nothing is there."""
        from botocore.exceptions import ClientError

        place = urlsplit(uri)
        with self.asking(f"read {uri}"):
            try:
                return self.client.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

    def remove(self, key: str) -> bool:
        """Delete an object that is there; says whether it was. Raises ArchiveError."""
        from botocore.exceptions import ClientError

        with self.asking(f"delete {self.uri(key)}"):
            try:
                self.client.head_object(Bucket=self.name, Key=self.prefix + key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
            self.client.delete_object(Bucket=self.name, Key=self.prefix + key)
        return True

    def delete(self, uri: str) -> None:
        """Delete the object at an `s3://` URI, which may lie in an earlier bucket; a missing one is fine.

        Raises ArchiveError.
        """
        from botocore.exceptions import ClientError

        place = urlsplit(uri)
        with self.asking(f"delete {uri}"):
            try:
                self.client.delete_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
            except ClientError as error:
                # An earlier bucket that is gone took its objects along; ours must be there, or we ask a wrong server.
                if place.netloc == self.name or error.response["Error"]["Code"] != "NoSuchBucket":
                    raise

    def objects(self, folder: str) -> Iterator["ObjectTypeDef"]:
        """What lies in a folder, with names as the bucket has them. Raises ArchiveError."""
        with self.asking(f"list {self.uri(folder)}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix + folder)
            for page in pages:
                yield from page.get("Contents", [])

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Turn what boto3 raises into an ArchiveError that names endpoint and remedy."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            said = error.response["Error"]
            if said["Code"] == "NoSuchBucket":
                raise ArchiveError(
                    f"there is no bucket {self.name} at {self.endpoint}: `feature-store archive setup` makes it"
                ) from None
            raise ArchiveError(
                f"S3 at {self.endpoint} refused to {doing}: {said['Code']}: {said.get('Message', '')}"
            ) from None
        except BotoCoreError as error:
            raise ArchiveError(
                f"S3 at {self.endpoint} could not {doing}: {error}. Is it up, and is FEATURE_STORE_S3_ENDPOINT right? "
                "`make up` starts the embedded one. Nothing is lost: the next run catches up"
            ) from None


@cache
def _session() -> "boto3.Session":
    """One for all buckets: a session reads a megabyte of descriptions of the API before its first client."""
    import boto3

    return boto3.Session()


@cache
def open_bucket(settings: Settings) -> Bucket:
    """The archive's place on S3; asks nothing of the server yet."""
    from botocore.config import Config

    session = _session()
    is_embedded = settings.s3_endpoint is None
    client = session.client(
        "s3",
        endpoint_url=settings.s3_url,
        aws_access_key_id=settings.secret("s3_access_key") if is_embedded else None,
        aws_secret_access_key=settings.secret("s3_secret_key") if is_embedded else None,
        region_name=(None if is_embedded else session.region_name) or "us-east-1",
        config=Config(
            proxies={} if is_embedded else None,
            connect_timeout=3,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=CONNECTIONS,
        ),
    )
    place = urlsplit(settings.export_s3_uri)
    folder = place.path.strip("/")
    return Bucket(client, settings.s3_url, place.netloc, f"{folder}/" if folder else "")
