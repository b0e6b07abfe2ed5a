"""Faults of a replay server under test, over its own HTTP interface."""

import httpx


def add_fault(replay_url: str, **fault: object) -> None:
    """Spoil the next matching answers."""
    httpx.post(f"{replay_url}/_faults", json=fault, timeout=None).raise_for_status()


def clear_faults(replay_url: str) -> None:
    """Spoil nothing any more."""
    httpx.delete(f"{replay_url}/_faults", timeout=None).raise_for_status()
