"""What the application asks of keys: who sent this, may they now, and what did they read."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Caller:
    """Who holds a key, and what it allows."""

    key_id: str
    name: str
    scopes: frozenset[str]
    rate_limit_rpm: int | None
    """Requests a minute; 0 is no limit, None the setting's."""


class Access(Protocol):
    """Keys, their limits and the record of what was read."""

    async def start(self) -> None:
        """Before the first request."""
        ...

    async def stop(self) -> None:
        """After the last one."""
        ...

    async def caller(self, authorization: str | None) -> Caller:
        """Who sends that Authorization header; raises Problem missing-key, invalid-key or expired-key."""
        ...

    async def admit(self, caller: Caller) -> dict[str, str]:
        """The headers that tell what is left of the caller's limit; raises Problem rate-limited."""
        ...

    def note(self, caller: Caller, endpoint: str, points: int) -> None:
        """Record that the caller read so many points there."""
        ...

    def took(self, endpoint: str, status: int, seconds: float) -> None:
        """Record how long an answer took."""
        ...

    async def write_down(self) -> None:
        """Write what was recorded to the database; raises Problem database-away."""
        ...
