"""`/metrics`: what Prometheus scrapes, without a key."""

import threading
from collections.abc import Iterator
from time import monotonic

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from feature_store.serving.api.backend import Backend
from feature_store.serving.api.gate import ENDPOINTS
from feature_store.serving.metrics import read_metrics

_EVERY = 1.0
"""Seconds for which what was read is told again: whoever asks more often costs the database nothing."""


class Metrics(Collector):
    """What one process tells of the whole store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._read: list[Metric] = []
        self._read_at = -_EVERY
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def told(self, accept: str) -> tuple[bytes, str]:
        """All metrics as Prometheus reads them, and their media type: OpenMetrics where `accept` has it.

        Raises WarehouseError when the database cannot be asked.
        """
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def describe(self) -> list[Metric]:
        """Nothing is read to be registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics, read anew unless they were a moment ago."""
        with self._lock:
            if monotonic() - self._read_at >= _EVERY:
                with self._backend.connection() as conn:
                    endpoints = [f"/v1/{name}" for name in ENDPOINTS]
                    self._read = list(read_metrics(conn, self._backend.catalog, endpoints))
                self._read_at = monotonic()
            read = self._read
        yield from read
