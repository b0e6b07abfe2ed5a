"""Ways for a run to die in the middle: at a call of the S3 client, in the database, or at a commit."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

from feature_store.archive.s3 import open_bucket

from .store import Store

Step = Callable[[Store], AbstractContextManager[None]]


class Killed(Exception):  # noqa: N818 - it is no error
    """The process ends here: nobody catches it."""


def at_call(when: str, survived: int) -> Step:
    """A step that dies at an event of boto3, such as `after-call.s3.PutObject`, having survived so many of them."""

    @contextmanager
    def step(store: Store) -> Iterator[None]:
        calls = count()

        def die(**_: Any) -> None:
            if next(calls) >= survived:
                raise Killed(when)

        events = open_bucket(store.settings).client.meta.events
        events.register(when, die)
        try:
            yield
        finally:
            events.unregister(when, die)

    return step


def at_write(change: str, *, commit: bool = False) -> Step:
    """A step that dies where a row of raw.payloads changes so (a condition over `old` and `new`), or at its commit."""
    trigger = (
        "constraint trigger dies after update on raw.payloads deferrable initially deferred"
        if commit
        else "trigger dies before update on raw.payloads"
    )

    @contextmanager
    def step(store: Store) -> Iterator[None]:
        die = "create function ops.die() returns trigger language plpgsql as $$ begin raise 'killed'; end $$"
        store.conn.execute(die)
        store.conn.execute(f"create {trigger} for each row when ({change}) execute function ops.die()".encode())
        store.conn.commit()
        try:
            yield
        finally:
            store.conn.rollback()
            store.conn.execute("drop function ops.die() cascade")
            store.conn.commit()

    return step


def at_table(table: str, event: str) -> Step:
    """A step that dies where a table is written to."""
    return lambda store: store.dying(table, event)
