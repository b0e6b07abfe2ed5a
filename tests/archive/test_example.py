"""The example of another engine runs as its first lines say: in an environment of its own."""

import json
import subprocess
import venv
from pathlib import Path

import pytest

from feature_store.archive import open_history

from .store import A, Point, Store

EXAMPLE = Path(__file__).parents[2] / "examples" / "read_the_history"


@pytest.mark.slow
def test_duckdb_and_daft_read_the_history_and_a_snapshot_of_it(archive: Store, tmp_path: Path) -> None:
    archive.append(Point("2023-12-31", 1), Point("2024-03-04", 2), Point("2024-03-05", 3))
    archive.commit_history()
    with open_history(archive.settings) as history:
        history.name_snapshot("paper")
    archive.append(
        Point("2024-03-05", 4.5, available_at="2024-06-02"), Point("2024-03-04", None, available_at="2024-06-02")
    )
    archive.commit_history()

    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", EXAMPLE / "requirements.txt"], check=True)
    stack = {
        "postgres_dsn": _as_uri(archive.settings.postgres_dsn),
        "s3_endpoint": archive.server.s3.endpoint,
        "s3_access_key": archive.server.s3.access_key,
        "s3_secret_key": archive.server.s3.secret_key,
    }

    def read(*snapshot: str) -> str:
        program = [python, EXAMPLE / "read_the_history.py", A, *snapshot]
        done = subprocess.run(program, input=json.dumps(stack), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    now, then = read(), read("paper")
    assert "4.5" in now
    assert "2024-03-05 00:00:00+00" in now
    assert "4.5" not in then
    assert "3.0" in then
    assert "2023" in now, "versions by year, as Daft counts them"


def _as_uri(dsn: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    place = conninfo_to_dict(dsn)
    return f"postgresql://{place['user']}:{place['password']}@{place['host']}:{place['port']}/{place['dbname']}"
