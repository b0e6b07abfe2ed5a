"""The default folder: invented histories at realistic levels, so that a fresh clone works without a key.

Everything about an observation (its value, its revisions, when they are published) depends on the seed, the
start and the observation alone, never on how far the folder reaches: generating again later only adds.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from feature_store.catalog import Catalog, load_catalog
from feature_store.errors import ReplayError
from feature_store.replay.convert import write_csv
from feature_store.replay.invented import Extent, Invented
from feature_store.replay.invented_binance import binance
from feature_store.replay.invented_blockchain import blockchain
from feature_store.replay.invented_defillama import defillama
from feature_store.replay.invented_etherscan import etherscan
from feature_store.replay.invented_farside import farside
from feature_store.replay.invented_fred import fred
from feature_store.replay.invented_tradingview import tradingview

BACK, AHEAD = timedelta(days=365 * 8 + 2), timedelta(days=60)
MINUTES_BACK = MINUTES_AHEAD = timedelta(days=30)
MANIFEST = "replay.json"

SOURCES: dict[str, Callable[[Catalog, Extent], Iterator[Invented]]] = {
    "fred": fred,
    "binance": binance,
    "defillama": defillama,
    "blockchain": blockchain,
    "farside": farside,
    "etherscan": etherscan,
    "tradingview": tradingview,
}
"""Slug → what invents its series."""


def generate(
    folder: Path,
    now: datetime,
    seed: int = 7,
    back: timedelta = BACK,
    minutes_back: timedelta = MINUTES_BACK,
) -> None:
    """Write the default folder, up to `now` and beyond, which the server hides until then.

    Daily series reach `back` (8 years) and 60 days ahead, minutes `minutes_back` (30 days) and 30 days ahead. A folder
    generated before keeps its start and is extended, and nothing that it could have served changes. ReplayError when
    the folder holds other series, or those of another seed.
    """
    extent = _extent(folder, now, seed, back, minutes_back)
    manifest = {name: value if name == "seed" else str(value) for name, value in asdict(extent).items()}
    # Before the series: an interrupted run must be recognised as a folder that may be written again.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    catalog = load_catalog()
    for slug, make in SOURCES.items():
        for stream, series, header, entries in make(catalog, extent):
            write_csv(folder / slug / stream / f"{series}.csv", header, entries)


def _extent(folder: Path, now: datetime, seed: int, back: timedelta, minutes_back: timedelta) -> Extent:
    today = now.astimezone(UTC).date()
    fresh = Extent(seed, today - back, today + AHEAD, today - minutes_back, today + MINUTES_AHEAD)
    manifest = folder / MANIFEST
    if not manifest.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise ReplayError(f"{folder} holds files but no {MANIFEST}: generate into a folder of its own")
        return fresh
    try:
        # A folder of an earlier version has no minutes yet.
        new = {"minutes_start": str(fresh.minutes_start), "minutes_horizon": str(fresh.minutes_horizon)}
        held = {**new, **json.loads(manifest.read_text())}
        days = {name: date.fromisoformat(held[name]) for name in ("start", "horizon", *new)}
        extent = Extent(int(held["seed"]), **days)
    except (ValueError, KeyError, TypeError) as error:
        raise ReplayError(f"{manifest} is damaged ({error}): remove the folder and generate it anew") from error
    if extent.seed != seed:
        raise ReplayError(f"{folder} was generated with seed {extent.seed}, not {seed}: use another folder")
    return replace(
        extent,
        horizon=max(extent.horizon, fresh.horizon),
        minutes_horizon=max(extent.minutes_horizon, fresh.minutes_horizon),
    )
