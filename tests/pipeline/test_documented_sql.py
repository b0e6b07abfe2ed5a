"""Every SQL statement of the documentation runs in the shell; what Postgres understands too, both answer alike."""

import re
from pathlib import Path

import pytest

from feature_store.serving.shell import Shell
from feature_store.settings import ROOT
from tests.serving.answers import of_postgres, of_shell

from .store import Store

SHELL_ONLY = "## The shell"
SERVED = {
    "WALCL": "2024-05-22,7300000,2024-05-23T20:30:00Z\n2024-05-29,7280000,2024-05-30T20:30:00Z\n",
    "WTREGEN": "2024-05-22,708000,2024-05-23T20:30:00Z\n2024-05-29,702000,2024-05-30T20:30:00Z\n"
    "2024-05-29,703000,2024-06-02T20:30:00Z\n",
    "RRPTTLD": "2024-05-29,440,2024-05-29T17:15:00Z\n2024-05-30,450,2024-05-30T17:15:00Z\n",
}


@pytest.fixture
def store(store: Store) -> Store:
    """A store with some weeks of the features that the documentation asks for, and their panel."""
    store.derives = True
    for series, rows in SERVED.items():
        store.serve(series, f"ts,value,available_at\n{rows}")
    store.at("2024-06-05T12:00")
    store.run()
    return store


def statements(text: str) -> list[str]:
    blocks = re.findall(r"^( *)```sql\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [
        statement
        for _, block in blocks
        for statement in re.split(r";\s*$", block, flags=re.MULTILINE)
        if statement.strip()
    ]


def test_documented_statements_are_answered(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    guide, _, shell_only = (ROOT / "docs" / "sql.md").read_text().partition(SHELL_ONLY)
    shared = statements((ROOT / "README.md").read_text()) + statements(guide)
    assert len(shared) >= 9
    assert len(statements(shell_only)) == 3
    answered = []
    with Shell.open(store.settings) as shell:
        for statement in shared:
            rows = of_shell(shell, statement)
            assert rows == of_postgres(store.conn, statement), statement
            answered += [statement] if rows else []
        assert len(answered) >= 4, "enough of them have rows to tell"
        for statement in statements((ROOT / "docs" / "quality.md").read_text()):
            of_postgres(store.conn, statement)  # by functions that the shell does not have
        for statement in statements(shell_only):
            of_shell(shell, statement)
    assert (tmp_path / "btc.parquet").exists()


def test_the_panel_is_that_of_postgres_now_and_as_stored(store: Store) -> None:
    with Shell.open(store.settings) as shell:
        assert of_shell(shell, "select * from daily_panel") == of_postgres(
            store.conn, "select * from features.daily_panel"
        )
        assert of_shell(
            shell, "select count(*) from features.daily_panel where day between '2024-05-29' and '2024-06-01'"
        ) == [(4,)]
        for stored in ("2024-06-05 11:00", "infinity"):
            question = f"select * from features.daily_panel_as_stored('{stored}')"
            assert of_shell(shell, question) == of_postgres(store.conn, question)
        every = "select day from daily_panel where macro_us_walcl_total_usd_age > interval '3 days'"
        assert of_shell(shell, every) == of_postgres(store.conn, every.replace("from ", "from features."))
