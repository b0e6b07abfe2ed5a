"""What reads, and what publishes, has its own login to the embedded database; to another, it is the user's affair."""

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from feature_store.settings import Settings
from feature_store.stack.secrets import ensure_secrets

OWNER, READER = "postgresql://owner:a@db/store", "postgresql://reader:b@db/store"


def test_the_embedded_database_has_a_login_for_each(tmp_path: Path) -> None:
    held = ensure_secrets(tmp_path)
    settings = Settings(FEATURE_STORE_HOME=tmp_path, FEATURE_STORE_PORT_POSTGRES=15433)
    for role, dsn in (("reader", settings.reader_dsn), ("publisher", settings.publisher_dsn)):
        login = conninfo_to_dict(dsn)
        assert login["user"] == f"feature_store_api_{role}"
        assert login["password"] == held[f"postgres_{role}_password"]
        assert (login["host"], login["port"], login["dbname"]) == ("127.0.0.1", "15433", "feature_store")


def test_another_database_is_asked_with_its_own_login_unless_there_are_lesser_ones() -> None:
    alone = Settings(FEATURE_STORE_POSTGRES_DSN=OWNER)
    assert (alone.reader_dsn, alone.publisher_dsn) == (OWNER, OWNER)
    with_reader = Settings(FEATURE_STORE_POSTGRES_DSN=OWNER, FEATURE_STORE_READER_DSN=READER)
    assert (with_reader.postgres_dsn, with_reader.reader_dsn, with_reader.publisher_dsn) == (OWNER, READER, OWNER)


def test_no_password_is_shown() -> None:
    shown = repr(Settings(FEATURE_STORE_READER_DSN=READER, FEATURE_STORE_PUBLISHER_DSN=READER))
    assert "reader:b" not in shown
