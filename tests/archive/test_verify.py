"""All of the archive is read again, and every kind of damage is found and named."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard
from pyiceberg.expressions import EqualTo

from feature_store.archive import move_payloads, verify
from feature_store.errors import ArchiveError

from .store import A, B, Point, Store, key

NOW = "2024-06-10"
OLD, YOUNG = "2024-03-04", "2024-05-20"
ANSWER = b'{"observations": []}'


@pytest.fixture
def whole(archive: Store) -> Store:
    """Files of an old and a young day, the history, a retired day and an answer on S3."""
    archive.at(NOW)
    archive.append(
        *(Point(f"{day} 0{hour}:00", hour, feature) for day in (OLD, YOUNG) for hour in (1, 2) for feature in (A, B))
    )
    archive.retire()
    _land(archive)
    move_payloads(archive.conn, archive.settings)
    return archive


def _land(store: Store) -> None:
    store.conn.execute(
        "insert into raw.payloads (sha256, content, size_bytes) values (%s, %s, %s)",
        (sha256(ANSWER).hexdigest(), zstandard.compress(ANSWER), len(ANSWER)),
    )
    store.conn.commit()


def problems(store: Store) -> list[str]:
    return verify(store.conn, store.settings).problems


def test_of_an_archive_that_is_whole_everything_was_read_and_nothing_changed(whole: Store) -> None:
    before, writes = whole.versions(), whole.writes()
    found = verify(whole.conn, whole.settings)
    assert (found.files, found.versions, found.retired_versions, found.payloads) == (4, 4, 4, 1)
    assert found.problems == []
    assert (whole.versions(), whole.writes()) == (before, writes)


def _put(store: Store, name: str, content: bytes) -> None:
    store.server.s3.client().put_object(Bucket=store.bucket, Key=store.folder + name, Body=content)


def _delete(store: Store, name: str) -> None:
    store.server.s3.client().delete_object(Bucket=store.bucket, Key=store.folder + name)


def _payload(store: Store) -> str:
    return next(name for name in store.files() if name.startswith("_payloads/"))


def _tamper(store: Store, day: str) -> None:
    with store.iceberg() as table:
        table.delete(EqualTo("ts", f"{day}T01:00:00+00:00"))


DAMAGES: dict[str, tuple[Callable[[Store], None], str]] = {
    "a changed file": (lambda store: _put(store, key(YOUNG), b"else"), f"{key(YOUNG)} was changed"),
    "a missing file": (lambda store: _delete(store, key(YOUNG)), f"{key(YOUNG)} is missing"),
    "a version that the history lacks": (
        lambda store: _tamper(store, YOUNG), "2 versions in Postgres, 1 in the history"
    ),
    "a retired version that the history lacks": (
        lambda store: _tamper(store, OLD), f"on {OLD}: 2 versions were retired, the history has 1"
    ),
    "a changed answer": (lambda store: _put(store, _payload(store), b"else"), "_payloads/"),
    "a missing answer": (lambda store: _delete(store, _payload(store)), "is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_named(whole: Store, damage: Callable[[Store], None], told: str) -> None:
    damage(whole)
    found = problems(whole)
    assert found
    assert all(told in problem for problem in found), found


def test_a_file_that_expired_is_not_lost(whole: Store) -> None:
    _delete(whole, key(YOUNG))
    whole.conn.execute(
        "update ops.exported_files set exported_at = exported_at - interval '366 days' where day = %s", (YOUNG,)
    )
    whole.conn.commit()
    found = verify(whole.conn, whole.settings)
    assert (found.files, found.expired_files, found.problems) == (3, 1, [])


def test_while_s3_is_away_it_says_so_and_finds_nothing_wrong(whole: Store) -> None:
    whole.server.stop()
    with pytest.raises(ArchiveError, match=whole.settings.s3_url):
        verify(whole.conn, whole.settings)
    whole.server.start()


@pytest.fixture
def command(store: Store, stack_env: None) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`feature-store` on the store of the test."""
    program = str(Path(sys.executable).parent / "feature-store")
    return lambda *arguments: subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_the_commands_do_what_they_say(store: Store, command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Export, history, retire, restore, verify and snapshots, as a person would call them."""
    store.at(NOW)
    feature = "crypto/btc/price_usd"
    store.append(Point(f"{OLD} 01:00", 1, feature), Point(f"{OLD} 02:00", 2, feature), Point(YOUNG, 3, feature))
    assert "2 files written" in command("archive", "export").stdout
    assert "3 versions appended" in command("archive", "history").stdout
    assert (
        "would retire 1 days, 2024-03-04 to 2024-03-04: 2 versions" in command("archive", "retire", "--dry-run").stdout
    )
    assert "1 days retired (2 versions)" in command("archive", "retire").stdout
    assert "0 problems" in command("archive", "verify").stdout
    assert "paper: 3 versions" in command("snapshot", "create", "paper").stdout
    assert [row["name"] for row in json.loads(command("snapshot", "list", "--json").stdout)] == ["paper"]
    restored = command("archive", "restore", "--feature", feature, "--from", OLD, "--to", OLD)
    assert "2 versions restored" in restored.stdout, restored.stderr
    _put(store, key(YOUNG, feature), b"else")
    wrong = command("archive", "verify")
    assert (wrong.returncode, "was changed" in wrong.stderr) == (1, True)
    assert "paper is forgotten" in command("snapshot", "drop", "paper").stdout
