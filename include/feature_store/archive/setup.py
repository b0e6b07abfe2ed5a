"""What the bucket should be: there, versioned, encrypted, with a lifecycle for exported files and deleted bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from feature_store.archive.s3 import DATA_DOCS, EXPORT_TAG, PAYLOADS, Bucket, open_bucket
from feature_store.settings import Settings

_OURS = "feature-store-"

Rule = dict[str, Any]
"""A lifecycle rule as S3 has it."""


@dataclass
class SetUp:
    """What was changed (or would be), and what the server refused, in words."""

    changes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def set_up(settings: Settings, *, dry_run: bool = False) -> SetUp:
    """Make the bucket what it should be, changing only what is not so; with `dry_run`, nothing.

    Lifecycle rules of others stay. A rule that the server refuses is left out and named in `refused`. Raises
    ArchiveError when S3 is away, or refuses for another reason than that it cannot do it.
    """
    bucket, done = open_bucket(settings), SetUp()
    is_there = _is_there(bucket)
    if not is_there:
        done.changes.append(f"make bucket {bucket.name}")
        if not dry_run:
            _make(bucket)
            is_there = True
    # Versioning first: without it, some servers turn expiry into a lifetime that every later write keeps.
    _versioning(bucket, done, is_there, dry_run)
    _encryption(bucket, done, is_there, dry_run)
    _lifecycle(bucket, done, is_there, dry_run)
    return done


def lifecycle_rules(prefix: str) -> list[Rule]:
    """The rules, one purpose each. Those by tag touch exported files alone; of `_payloads` and `_data_docs` only what
    was deleted or replaced goes.

    None takes anything of `_history`.
    """
    key, value = EXPORT_TAG.split("=")
    exported = {"Tag": {"Key": key, "Value": value}}
    return [
        {
            "ID": f"{_OURS}export-transitions",
            "Filter": exported,
            "Status": "Enabled",
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 90, "StorageClass": "GLACIER_IR"},
            ],
        },
        {"ID": f"{_OURS}export-expiry", "Filter": exported, "Status": "Enabled", "Expiration": {"Days": 365}},
        {
            "ID": f"{_OURS}export-old-versions",
            "Filter": exported,
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        },
        {
            # What expired is no more only when its last version is gone. A week leaves time to notice a mistake.
            "ID": f"{_OURS}payloads-old-versions",
            "Filter": {"Prefix": f"{prefix}{PAYLOADS}"},
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        },
        {
            "ID": f"{_OURS}docs-old-versions",
            "Filter": {"Prefix": f"{prefix}{DATA_DOCS}"},
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        },
        {
            "ID": f"{_OURS}delete-markers",
            "Filter": {"Prefix": prefix},
            "Status": "Enabled",
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
        {
            "ID": f"{_OURS}stale-uploads",
            "Filter": {"Prefix": prefix},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]


def _is_there(bucket: Bucket) -> bool:
    from botocore.exceptions import ClientError

    with bucket.asking(f"look for bucket {bucket.name}"):
        try:
            bucket.client.head_bucket(Bucket=bucket.name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
    return True


def _make(bucket: Bucket) -> None:
    with bucket.asking(f"make bucket {bucket.name}"):
        region = bucket.client.meta.region_name
        if region == "us-east-1":
            bucket.client.create_bucket(Bucket=bucket.name)
        else:
            where = {"LocationConstraint": region}
            bucket.client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration=where)  # type: ignore[arg-type]


def _versioning(bucket: Bucket, done: SetUp, is_there: bool, dry_run: bool) -> None:
    with bucket.asking("tell the bucket's versioning"):
        held = bucket.client.get_bucket_versioning(Bucket=bucket.name).get("Status") if is_there else None
    if held != "Enabled":
        _change(
            bucket, done, dry_run, "enable versioning",
            lambda: bucket.client.put_bucket_versioning(
                Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
            ),
        )  # fmt: skip


def _encryption(bucket: Bucket, done: SetUp, is_there: bool, dry_run: bool) -> None:
    from botocore.exceptions import ClientError

    is_encrypted = False
    with bucket.asking("tell the bucket's encryption"):
        try:
            if is_there:
                bucket.client.get_bucket_encryption(Bucket=bucket.name)
                is_encrypted = True  # with AES256, or with keys that somebody chose
        except ClientError as error:
            if error.response["Error"]["Code"] != "ServerSideEncryptionConfigurationNotFoundError":
                raise
    if not is_encrypted:
        _change(
            bucket, done, dry_run, "encrypt with AES256 by default",
            lambda: bucket.client.put_bucket_encryption(
                Bucket=bucket.name,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            ),
        )  # fmt: skip


def _lifecycle(bucket: Bucket, done: SetUp, is_there: bool, dry_run: bool) -> None:
    held = _held_rules(bucket) if is_there else []
    wanted = lifecycle_rules(bucket.prefix)
    kept = [rule for rule in held if not rule.get("ID", "").startswith(_OURS)]
    rules = [*kept, *(rule for rule in wanted if rule in held)]
    # One by one, because a server refuses a whole configuration for one rule that it cannot do.
    for rule in wanted:
        if rule not in held:
            put = partial(_put_rules, bucket, [*rules, rule])
            if _change(bucket, done, dry_run, f"set lifecycle rule {rule['ID']}", put):
                rules.append(rule)


def _put_rules(bucket: Bucket, rules: Any) -> None:
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": rules})


def _held_rules(bucket: Bucket) -> list[Rule]:
    from botocore.exceptions import ClientError

    with bucket.asking("tell the bucket's lifecycle"):
        try:
            held: Any = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                raise
            return []
    return list(held)


def _change(bucket: Bucket, done: SetUp, dry_run: bool, what: str, do: Callable[[], object]) -> bool:
    """Do it unless it is only to be told; says whether it is done. A server that cannot do it is noted."""
    from botocore.exceptions import ClientError

    if not dry_run:
        with bucket.asking(what):
            try:
                do()
            except ClientError as error:
                if error.response["Error"]["Code"] != "NotImplemented":
                    raise
                done.refused.append(f"{bucket.endpoint} cannot do this and goes on without: {what}")
                return False
    done.changes.append(what)
    return True
