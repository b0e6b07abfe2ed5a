"""What a replayed source hands to the server: where it is mounted, and how it says no."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from feature_store.replay.folder import Folder

Now = Callable[[], datetime]


@dataclass(frozen=True)
class Mount:
    """One source: `/{slug}` answers as its real base URL does."""

    slug: str
    series_parameter: str
    """The query parameter that names the series; faults are matched on it."""
    routes: Callable[[Folder, Now], list[BaseRoute]]
    refuse: Callable[[Request, int, str], Response]
    """The source's own body for a status code and a message."""
    wrong_key_message: str
    """What the source says to a well-formed key that it does not know."""
