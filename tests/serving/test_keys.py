"""Keys are shown once, end when they should, and mistakes say what to do. Real time, by the database's clock."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.errors import ApiKeyError
from feature_store.serving.keys import TOKEN, create_key, find_key, hash_of, list_keys, revoke_key, rotate_key

DAY = timedelta(days=1)


def test_a_key_is_shown_once_and_the_database_holds_its_hash_alone(db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"])
    match = TOKEN.fullmatch(made.token)
    assert match is not None
    assert match[1] == made.key_id
    rows = db.execute("select k::text, sha256 from ops.api_keys as k").fetchall()
    assert [sha256 for _, sha256 in rows] == [hash_of(made.token)]
    assert made.token not in str(rows)
    assert made.token not in repr(made)
    assert find_key(db, made.token) == made.key
    assert find_key(db, made.token[:-1] + "!") is None


def test_a_life_is_counted_from_now(db: psycopg.Connection) -> None:
    key = create_key(db, "desk", ["read"], 90 * DAY).key
    assert key.expires_at is not None
    assert abs(key.expires_at - key.created_at - 90 * DAY) < timedelta(seconds=10)


def test_no_two_keys_are_alike(db: psycopg.Connection) -> None:
    made = [create_key(db, "desk", ["read"]) for _ in range(20)]
    assert len({key.token for key in made}) == len({key.key_id for key in made}) == 20
    assert [key.key_id for key in list_keys(db)] == [key.key_id for key in made]


def test_scopes_are_kept_once_and_in_order(db: psycopg.Connection) -> None:
    assert create_key(db, "desk", ["admin", "read", "read"]).key.scopes == ["read", "admin"]


def test_a_key_expires_in_real_time_whatever_the_clock_of_the_store_says(db: psycopg.Connection) -> None:
    clock.set_running(db, datetime(2040, 1, 1, tzinfo=UTC))
    ends = datetime.now(UTC) + DAY
    key = create_key(db, "desk", ["read"], ends).key
    assert (key.expires_at, key.state) == (ends, "active")
    assert abs(key.created_at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("name", "scopes", "ends", "limit", "told"),
    [
        ("desk", ["read"], datetime(2020, 1, 1, tzinfo=UTC), None, "2020-01-01T00:00:00.* is over"),
        ("desk", ["read"], timedelta(weeks=999_999), None, "choose a shorter life"),
        ("desk", ["read"], -DAY, None, "is over"),
        ("desk", ["write"], None, None, "no scope 'write': there are read, publish, admin"),
        ("desk", [], None, None, "at least one of read, publish, admin"),
        ("", ["read"], None, None, "no name for a key"),
        (" desk", ["read"], None, None, "no space at either end"),
        ("a\nb", ["read"], None, None, "printable"),
        ("desk", ["read"], None, -1, "0 is no limit"),
        ("desk", ["read"], None, 2**31, "cannot be granted"),
    ],
)
def test_a_key_that_would_be_of_no_use_is_not_made(
    db: psycopg.Connection,
    name: str,
    scopes: list[str],
    ends: datetime | timedelta | None,
    limit: int | None,
    told: str,
) -> None:
    with pytest.raises(ApiKeyError, match=told):
        create_key(db, name, scopes, ends, limit)
    assert list_keys(db) == []


def test_a_rotated_key_works_on_for_its_grace_and_the_new_one_is_as_good(db: psycopg.Connection) -> None:
    old = create_key(db, "desk", ["read", "publish"], datetime.now(UTC) + 30 * DAY, 7)
    new = rotate_key(db, old.key_id, DAY)
    shortened, made = list_keys(db)
    assert new.token != old.token
    assert (made.name, made.scopes, made.rate_limit_rpm) == ("desk", ["read", "publish"], 7)
    assert shortened.expires_at is not None
    assert made.expires_at is not None
    assert abs(shortened.expires_at - made.created_at - DAY) < timedelta(seconds=10)
    assert abs(made.expires_at - made.created_at - 30 * DAY) < timedelta(seconds=10), "a life as long as the first"
    assert {shortened.state, made.state} == {"active"}


def test_a_grace_lengthens_no_life(db: psycopg.Connection) -> None:
    ends = datetime.now(UTC) + DAY
    old = create_key(db, "desk", ["read"], ends)
    rotate_key(db, old.key_id, 90 * DAY)
    assert list_keys(db)[0].expires_at == ends


def test_without_a_grace_the_old_key_ends_at_once(db: psycopg.Connection) -> None:
    old = create_key(db, "desk", ["read"])
    new = rotate_key(db, old.key_id, timedelta(0))
    assert [key.state for key in list_keys(db)] == ["expired", "active"]
    assert new.key.expires_at is None


def test_a_revoked_key_stays_listed_and_cannot_be_rotated(db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"])
    ended = revoke_key(db, made.key_id)
    assert ended.state == "revoked"
    assert revoke_key(db, made.key_id) == ended
    with pytest.raises(ApiKeyError, match=r"is revoked: `feature-store keys create` makes another"):
        rotate_key(db, made.key_id, DAY)
    assert list_keys(db) == [ended]


def test_an_unknown_key_says_where_ids_are_listed(db: psycopg.Connection) -> None:
    for change in (lambda: revoke_key(db, "nobodys0"), lambda: rotate_key(db, "nobodys0", DAY)):
        with pytest.raises(ApiKeyError, match=r"no key 'nobodys0': `feature-store keys list`"):
            change()


def test_a_change_is_committed_when_it_returns(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"])
    with psycopg.connect(dsn) as other:
        assert find_key(other, made.token) == made.key
