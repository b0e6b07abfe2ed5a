"""The replay server: one mount per source, the faults around them, and one clock."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount as PathMount
from starlette.routing import Route

from feature_store.errors import FeatureStoreError, ReplayError
from feature_store.replay import binance, blockchain, cex, defillama, etherscan, farside, fred, tradingview
from feature_store.replay.faults import FaultInjector, Faults, admin_routes
from feature_store.replay.folder import Folder
from feature_store.replay.mount import Mount, Now
from feature_store.replay.schedule import CatalogSchedule, Schedule

MOUNTS: tuple[Mount, ...] = (
    fred.MOUNT,
    farside.MOUNT,
    defillama.MOUNT,
    binance.MOUNT,
    blockchain.MOUNT,
    etherscan.MOUNT,
    tradingview.MOUNT,
    cex.MOUNT,
)


class ClockUnreachableError(ReplayError):
    """The clock did not answer, so nothing can be said about now."""


def create_app(folder: Path, now: Now, schedule: Schedule | None = None) -> Starlette:
    """The server over `folder` at the instant that `now()` gives; the catalog knows the release rules."""
    series, clock, faults = Folder(folder, schedule or CatalogSchedule()), _guarded(now), Faults()

    async def health(_: Request) -> Response:
        return PlainTextResponse((await run_in_threadpool(clock)).isoformat())

    return Starlette(
        routes=[
            Route("/_health", health),
            *admin_routes(faults),
            *(PathMount(f"/{mount.slug}", routes=mount.routes(series, clock)) for mount in MOUNTS),
        ],
        middleware=[Middleware(FaultInjector, faults=faults, mounts=MOUNTS)],
        exception_handlers={ClockUnreachableError: _say(503), ReplayError: _say(500), 404: _unknown_path},
    )


def _guarded(now: Now) -> Now:
    def ask() -> datetime:
        try:
            return now().astimezone(UTC)
        except (psycopg.Error, OSError, FeatureStoreError) as error:
            raise ClockUnreachableError(f"replay cannot tell the time: {error}") from error

    return ask


def _say(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{error}\n", status)

    return handler


async def _unknown_path(request: Request, error: Exception) -> Response:
    slug = request.url.path.strip("/").split("/")[0]
    mount = next((mount for mount in MOUNTS if mount.slug == slug), None)
    return mount.refuse(request, 404, "") if mount else PlainTextResponse(f"no such path: {request.url.path}\n", 404)
