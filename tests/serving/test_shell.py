"""The SQL shell on a database alone."""

import os
import signal
from pathlib import Path
from threading import Timer

import pytest

from feature_store.serving.shell import Shell
from feature_store.settings import Settings

from .answers import of_shell


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=tmp_path)


def test_ctrl_c_ends_a_statement_and_not_the_shell(settings: Settings) -> None:
    with Shell.open(settings) as shell:
        interrupt = Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            of_shell(shell, "select max(sin(range)) from range(1000000000000)")
        assert of_shell(shell, "select count(*) from features_values") == [(0,)]


def test_what_somebody_makes_stays_until_the_end(settings: Settings) -> None:
    with Shell.open(settings) as shell:
        assert of_shell(shell, "") == []
        of_shell(shell, "create table mine as select 'a' as feature_id, 1 as weight")
        of_shell(shell, "begin")
        assert of_shell(shell, "select weight from mine left join features.latest using (feature_id)") == [(1,)]
        of_shell(shell, "rollback")
        assert of_shell(shell, "select count(*) from mine where ops.now() is null") == [(0,)]
