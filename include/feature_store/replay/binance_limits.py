"""Binance's limits: request weights by the minute, a warning, and a ban for who does not heed it.

They count in real time, like the clients that must obey them; a clock that is turned to another minute ends one too,
else who lives through a day in minutes would be held up by a real host's limits.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE = 10
"""Answers of 429 in one minute, after which a client that goes on is banned."""
BAN_SECONDS = 120


def milliseconds_from_now(seconds: float) -> int:
    """Real time since 1970."""
    return int((time.time() + seconds) * 1000)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one request."""

    status: int
    """200, 429 or 418."""
    used: int
    """The weight used in this minute, this request included."""
    retry_after: int
    """Seconds to wait; 0 with status 200."""


class Weights:
    """What one client has used of a host's allowance."""

    def __init__(self, limit: int, seconds: Callable[[], float] = time.time) -> None:
        """`limit` is the weight a minute allows; `seconds` gives the time since 1970."""
        self.limit = limit
        self._seconds = seconds
        self._minute = (0, 0)
        self._used = 0
        self._warned = 0
        self._banned_until = 0.0
        self._lock = threading.Lock()

    def use(self, weight: int, minute: int = 0) -> Verdict:
        """Count one request, made in a minute of the store's clock."""
        with self._lock:
            now = self._seconds()
            if now < self._banned_until:
                return Verdict(418, self._used, math.ceil(self._banned_until - now))
            if self._minute != (int(now // 60), minute):
                self._minute, self._used, self._warned = (int(now // 60), minute), 0, 0
            self._used += weight
            if self._used <= self.limit:
                return Verdict(200, self._used, 0)
            self._warned += 1
            if self._warned > PATIENCE:
                self._banned_until = now + BAN_SECONDS
                return Verdict(418, self._used, BAN_SECONDS)
            return Verdict(429, self._used, math.ceil(60 * (self._minute[0] + 1) - now))
