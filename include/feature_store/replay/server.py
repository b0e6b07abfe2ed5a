"""Run the replay server: loopback only, the database's clock."""

from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from feature_store.errors import ReplayError
from feature_store.replay.app import create_app
from feature_store.replay.clock import DatabaseClock
from feature_store.settings import load_settings


def serve(folder: Path | None = None, port: int | None = None) -> None:
    """Serve `folder` (default: the settings') until interrupted; ReplayError when there is no such folder."""
    settings = load_settings()
    folder = folder or settings.replay_folder
    if not folder.is_dir():
        raise ReplayError(
            f"{folder} does not exist: `feature-store replay generate` makes the default folder, "
            "FEATURE_STORE_REPLAY_DIR names another"
        )
    uvicorn.Server(config(create_app(folder, DatabaseClock(settings.postgres_dsn)), port or settings.port_replay)).run()


def config(app: Starlette, port: int) -> uvicorn.Config:
    """How uvicorn runs the app: on loopback, without headers of its own, and without an access log,
    which would hold every request's API key."""
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        access_log=False,
        date_header=False,
        server_header=False,
        log_level="warning",
    )
