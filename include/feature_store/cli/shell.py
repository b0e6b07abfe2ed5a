"""`feature-store sql`: one statement, or a conversation; `feature-store psql` for Postgres itself."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

import psycopg

from feature_store.cli.answers import print_rows, write_csv
from feature_store.cli.options import tell
from feature_store.errors import FeatureStoreError
from feature_store.serving.shell import Shell
from feature_store.settings import load_settings

HELP = """\
A statement ends with ; at the end of a line. It is DuckDB's SQL, over features_values, features_versions, daily_panel,
features.as_of('2024-06-01') and whatever .tables shows; copy (select ...) to 'answer.parquet' keeps an answer.
.tables   what there is to ask
.help     this
.quit     the end, as are \\q and Ctrl-D
"""


def run(shell: Shell, statement: str, out: TextIO, *, as_csv: bool) -> None:
    """Run SQL and write its rows to `out`; raises what Shell.ask raises."""
    with shell.ask(statement) as answer:
        if as_csv:
            write_csv(answer, out)
        elif answer.schema.names not in ([], ["Success"]):
            print_rows(answer, out)


def converse(shell: Shell, *, as_csv: bool) -> int:
    """Answer what somebody types, or what stands on stdin, until its end; returns how many statements failed."""
    commands = {".tables": "".join(f"{name}\n" for name in shell.tables), ".help": HELP}
    failed = 0
    with _history():
        for statement in _statements():
            if statement in commands:
                sys.stdout.write(commands[statement])
                continue
            try:
                run(shell, statement, sys.stdout, as_csv=as_csv)
            except FeatureStoreError as error:
                failed += 1
                tell(error)
            except KeyboardInterrupt:
                failed += 1
                sys.stderr.write("interrupted\n")
    return failed


def open_psql(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by psql; the password travels in the environment, not in the process list."""
    from feature_store.stack.postgres import binaries

    dsn = psycopg.conninfo.conninfo_to_dict(load_settings().postgres_dsn)
    program = str(binaries() / "psql")
    place = [f"--{key}={dsn[name]}" for key, name in (("host", "host"), ("port", "port"), ("username", "user"))]
    env = {**os.environ, "PGPASSWORD": str(dsn.get("password", "")), "PGTZ": "UTC"}
    os.execve(program, [program, *place, f"--dbname={dsn['dbname']}", *arguments], env)  # noqa: S606 - our own binary


def _statements() -> Iterator[str]:
    waiting = ""
    while True:
        try:
            line = input(("...> " if waiting else "sql> ") if sys.stdin.isatty() else "")
        except KeyboardInterrupt:
            waiting = ""
            sys.stdout.write("\n")
        except EOFError:
            yield from _parts(waiting)
            return
        else:
            if not waiting and line.strip() in (".quit", "\\q"):
                return
            waiting = f"{waiting}{line}\n".lstrip()
            if waiting.startswith(".") or _is_whole(waiting):
                yield from _parts(waiting)
                waiting = ""


def _is_whole(typed: str) -> bool:
    """Whether it ends with a ; that is no part of a text or a comment."""
    import duckdb

    tokens = [at for at, kind in duckdb.tokenize(typed) if kind != duckdb.token_type.comment]
    return bool(tokens) and typed.encode()[tokens[-1] :].startswith(b";")


def _parts(typed: str) -> list[str]:
    """Statement by statement; what cannot be read, whole."""
    import duckdb

    try:
        return [part.query for part in duckdb.extract_statements(typed)]
    except duckdb.Error:
        return [typed.strip()]


@contextmanager
def _history() -> Iterator[None]:
    """What is typed is remembered for the next time, where it is typed."""
    if not sys.stdin.isatty():
        yield
        return
    import readline

    home = load_settings().home
    path = home / "sql_history" if home.is_dir() else Path.home() / ".feature_store_sql_history"
    with suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with suppress(OSError):
            readline.write_history_file(path)
