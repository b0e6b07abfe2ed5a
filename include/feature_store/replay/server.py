"""Run the replay server: on loopback unless told otherwise, by the database's clock."""

from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from feature_store.errors import ReplayError
from feature_store.replay.app import create_app
from feature_store.replay.clock import DatabaseClock
from feature_store.settings import load_settings

LOOPBACK = "127.0.0.1"


def serve(folder: Path | None = None, port: int | None = None, host: str = LOOPBACK) -> None:
    """Serve `folder` (default: the settings') until interrupted; ReplayError when there is no such folder."""
    settings = load_settings()
    folder = folder or settings.replay_folder
    if not folder.is_dir():
        raise ReplayError(
            f"{folder} does not exist: `feature-store replay generate` makes the default folder, "
            "FEATURE_STORE_REPLAY_DIR names another"
        )
    app = create_app(folder, DatabaseClock(settings.reader_dsn))
    uvicorn.Server(config(app, port or settings.port_replay, host)).run()


def config(app: Starlette, port: int, host: str = LOOPBACK) -> uvicorn.Config:
    """How uvicorn runs the app: without headers of its own, and without an access log, which would hold every
    request's API key."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        date_header=False,
        server_header=False,
        log_level="warning",
    )
