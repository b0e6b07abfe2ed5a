"""Run the API: on loopback unless told otherwise, in as many processes as FEATURE_API_WORKERS says."""

import logging
import sys
from typing import Any

import structlog
import uvicorn

from feature_store.catalog import load_catalog
from feature_store.serving.api.app import create_app
from feature_store.serving.api.gate import App
from feature_store.serving.api.keyring import Keyring
from feature_store.settings import Settings, load_settings


def application() -> App:
    """The application that the environment describes: what each process of the server makes."""
    log_plainly()
    settings = load_settings()
    return create_app(settings, load_catalog(), Keyring(settings))


def serve() -> None:
    """Serve until interrupted."""
    settings = load_settings()
    load_catalog()  # a mistake in it is told once, and not by every process
    factory = "feature_store.serving.api.server:application"
    uvicorn.run(factory, factory=True, port=settings.port_api, workers=settings.api_workers, **options(settings))


def options(settings: Settings) -> dict[str, Any]:
    """How uvicorn runs the app: without headers of its own, and without an access log.

    A client that sends nothing keeps its connection for longer than its pool is likely to keep it idle.
    """
    return {
        "host": settings.api_host,
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 65,
        "timeout_graceful_shutdown": 10,
        "timeout_worker_healthcheck": 60,
        "log_level": "warning",
    }


def log_plainly() -> None:
    """One JSON object a line on standard error, tracebacks included; variables' values are never part of them."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
