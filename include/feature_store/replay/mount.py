"""What a replayed source hands to the server: where it is mounted, and how it says no."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from feature_store.replay.folder import Folder

Now = Callable[[], datetime]


class Refuse(Protocol):
    """The source's own body for a status code and a message; without one, in its usual words."""

    def __call__(self, request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
        """`retry_after` is for texts that name the end of a ban; the header is the caller's."""


def from_query(name: str) -> Callable[[Request], str | None]:
    """For a source whose requests name the series in a query parameter."""
    return lambda request: request.query_params.get(name)


@dataclass(frozen=True)
class Mount:
    """One source: `/{slug}` answers as its real base URL does."""

    slug: str
    series_of: Callable[[Request], str | None]
    """The series that a request names, None where it names none; faults are matched on it."""
    routes: Callable[[Folder, Now], list[BaseRoute]]
    refuse: Refuse
    wrong_key_message: str | None = None
    """What the source says to a well-formed key that it does not know; None where it asks for none."""
