"""kill -9 of the API while it publishes: each batch is there whole or not at all, and once when it is sent again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from feature_store.stack.processes import stack_processes

from .running import wait_for
from .test_api_service import Served, cmdline, served

__all__ = ["served"]

FEATURE = "crypto/etf/btc_net_flow_usd"
BATCHES, POINTS = 40, 100
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def batch(number: int) -> dict[str, Any]:
    """A hundred days, all with the batch's number as their value, of which no other batch has any."""
    start = FIRST - timedelta(days=POINTS * number)
    days = [start + timedelta(days=day) for day in range(POINTS)]
    points = [{"featureId": FEATURE, "ts": f"{day:%Y-%m-%dT00:00:00Z}", "value": float(number)} for day in days]
    return {"points": points, "mode": "all"}


def send(served: Served, number: int) -> int | None:
    """How many points the API says that it inserted; None when no answer came."""
    headers = {"Authorization": f"Bearer {served.handles['api_key']}", "Idempotency-Key": f"batch {number}"}
    try:
        answer = httpx.post(
            f"{served.handles['api_url']}/v1/publish",
            json=batch(number),
            headers=headers,
            trust_env=False,
            timeout=None,
        )
    except httpx.HTTPError:
        return None
    inserted: int = answer.raise_for_status().json()["inserted"]
    return inserted


def held(served: Served) -> dict[float, int]:
    """How many points of each batch there are."""
    with psycopg.connect(served.settings.postgres_dsn) as conn:
        rows = conn.execute(
            "select value, count(*) from features.features_versions where feature_id = %s group by value", (FEATURE,)
        ).fetchall()
    return dict(rows)


@pytest.mark.usefixtures("served")
def test_a_killed_api_leaves_whole_batches_and_sent_again_each_is_there_once(served: Served) -> None:
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, served, number) for number in range(BATCHES)]
        wait_for(lambda: len(held(served)) >= 3, 120)
        for process in stack_processes(served.settings.home):
            if "feature_store.serving.api" in cmdline(process):
                process.kill()
        answered = [future.result() for future in sent]
    assert None in answered, "it was killed while it published"
    assert set(held(served).values()) == {POINTS}, "a batch is whole"

    wait_for(lambda: _is_up(served), 120)
    again = [send(served, number) for number in range(BATCHES)]
    assert again == [POINTS] * BATCHES, "an idempotency key gets the answer of the first time"
    assert held(served) == {float(number): POINTS for number in range(BATCHES)}


def _is_up(served: Served) -> bool:
    try:
        return served.status("/readyz") == 200
    except (httpx.HTTPError, psutil.Error):
        return False
