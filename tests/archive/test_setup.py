"""The bucket set-up against a real server, and, for what that server cannot do, against moto's."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from typer.testing import CliRunner

from feature_store.archive import set_up
from feature_store.archive.s3 import open_bucket
from feature_store.archive.setup import lifecycle_rules
from feature_store.cli import app
from feature_store.errors import ArchiveError
from feature_store.settings import Settings

from .store import Point, Server, Store, key

RULES = [
    "export-transitions", "export-expiry", "export-old-versions", "payloads-old-versions", "docs-old-versions",
    "delete-markers", "stale-uploads",
]  # fmt: skip
ALL = [
    "enable versioning", "encrypt with AES256 by default", *(f"set lifecycle rule feature-store-{r}" for r in RULES)
]  # fmt: skip


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A server that takes every rule, with credentials as boto3 finds them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    yield Settings(
        FEATURE_STORE_S3_ENDPOINT=f"http://{host}:{port}", FEATURE_STORE_EXPORT_S3_URI=f"s3://{uuid4()}/store"
    )
    server.stop()


def name(settings: Settings) -> str:
    return open_bucket(settings).name


def lifecycle(settings: Settings) -> dict[str, Any]:
    bucket = open_bucket(settings)
    held = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    return {rule["ID"]: rule for rule in held}


def test_a_bucket_is_made_once_and_then_nothing_changes(aws: Settings) -> None:
    assert set_up(aws).changes == [f"make bucket {name(aws)}", *ALL]
    assert set_up(aws).changes == []
    client = open_bucket(aws).client
    assert client.get_bucket_versioning(Bucket=name(aws))["Status"] == "Enabled"
    held = client.get_bucket_encryption(Bucket=name(aws))["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert held["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert client.get_bucket_location(Bucket=name(aws))["LocationConstraint"] == "eu-central-1"


def test_exported_files_go_to_ia_then_glacier_then_expire_by_their_tag_alone(aws: Settings) -> None:
    set_up(aws)
    rules = lifecycle(aws)
    assert rules["feature-store-export-transitions"]["Transitions"] == [
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 90, "StorageClass": "GLACIER_IR"},
    ]
    assert rules["feature-store-export-expiry"]["Expiration"] == {"Days": 365}
    for rule in rules.values():
        by_tag = rule["Filter"] == {"Tag": {"Key": "layer", "Value": "export"}}
        takes_current = "Transitions" in rule or "Days" in rule.get("Expiration", {})
        assert by_tag or not takes_current, f"{rule['ID']} would reach _history, _payloads and _data_docs"
        takes_old = "NoncurrentVersionExpiration" in rule
        of_others = rule["Filter"].get("Prefix") in {"store/_payloads/", "store/_data_docs/"}
        assert by_tag or not takes_old or of_others, f"{rule['ID']}: _history"
    assert rules["feature-store-stale-uploads"]["Filter"] == {"Prefix": "store/"}


def test_what_expired_of_the_payloads_goes_for_good_after_a_week_and_nothing_else_of_them(aws: Settings) -> None:
    set_up(aws)
    reaching = [rule for rule in lifecycle(aws).values() if rule["Filter"] == {"Prefix": "store/_payloads/"}]
    assert reaching == [lifecycle(aws)["feature-store-payloads-old-versions"]]
    assert reaching[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert "Expiration" not in reaching[0]


def test_a_bucket_without_a_folder_has_its_payloads_at_its_root() -> None:
    filters = [rule["Filter"] for rule in lifecycle_rules("") if rule["ID"] == "feature-store-payloads-old-versions"]
    assert filters == [{"Prefix": "_payloads/"}]


def test_a_dry_run_tells_all_of_it_and_changes_nothing(aws: Settings) -> None:
    assert set_up(aws, dry_run=True).changes == [f"make bucket {name(aws)}", *ALL]
    assert name(aws) not in {held["Name"] for held in open_bucket(aws).client.list_buckets()["Buckets"]}
    set_up(aws)
    client = open_bucket(aws).client
    client.put_bucket_versioning(Bucket=name(aws), VersioningConfiguration={"Status": "Suspended"})
    assert set_up(aws, dry_run=True).changes == ["enable versioning"]
    assert client.get_bucket_versioning(Bucket=name(aws))["Status"] == "Suspended"


def test_rules_of_others_stay_and_a_changed_rule_of_ours_is_set_right(aws: Settings) -> None:
    set_up(aws)
    theirs = {"ID": "logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 7}}
    changed = {**lifecycle(aws), "logs": theirs}
    changed["feature-store-export-expiry"] = {**changed["feature-store-export-expiry"], "Expiration": {"Days": 30}}
    open_bucket(aws).client.put_bucket_lifecycle_configuration(
        Bucket=name(aws), LifecycleConfiguration={"Rules": list(changed.values())}
    )
    assert set_up(aws).changes == ["set lifecycle rule feature-store-export-expiry"]
    assert lifecycle(aws)["logs"] == theirs
    assert lifecycle(aws)["feature-store-export-expiry"]["Expiration"] == {"Days": 365}
    assert len(lifecycle(aws)) == len(RULES) + 1


def test_a_rule_that_the_server_cannot_do_is_named_and_the_rest_is_set(settings: Settings) -> None:
    for made in (True, False):
        done = set_up(settings)
        assert [text for text in done.refused if "feature-store-export-transitions" in text] == done.refused
        assert len(done.refused) == 1
        assert bool(done.changes) == made
    assert set(lifecycle(settings)) == {f"feature-store-{rule}" for rule in RULES[1:]}


def test_a_changed_object_keeps_its_old_version(store: Store) -> None:
    store.append(Point("2024-03-04", 1))
    store.export()
    store.append(Point("2024-03-04", 2, available_at="2024-07-01"))
    store.export()
    assert store.writes() == {key("2024-03-04"): 2}


def test_a_server_that_is_away_is_named(settings: Settings, s3: Server) -> None:
    s3.stop()
    with pytest.raises(ArchiveError, match=f"{settings.s3_url} could not look for bucket.*make up"):
        set_up(settings)


def test_wrong_credentials_are_told_without_them(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "n0t-the-secret")
    stranger = settings.model_copy(update={"s3_endpoint": settings.s3_url})
    with pytest.raises(ArchiveError, match=f"{settings.s3_url} refused") as raised:
        set_up(stranger)
    assert "n0t-the-secret" not in str(raised.value)


@pytest.mark.usefixtures("stack_env")
def test_the_command_tells_what_it_would_do_and_then_does_it(settings: Settings) -> None:
    run = CliRunner().invoke
    told = run(app, ["archive", "setup", "--dry-run"])
    assert told.stdout.startswith("would make bucket test-")
    done = run(app, ["archive", "setup"])
    assert "done: enable versioning" in done.stdout
    assert "warning: " in done.stderr
    assert "nothing to change" in run(app, ["archive", "setup"]).stdout
    assert run(app, ["archive", "export"]).stdout.startswith("0 files written")
