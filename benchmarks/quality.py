"""What quality costs: judging thirty days of candidates, judging a minute of them, and checking every feature.

`python -m benchmarks.quality [days]`. The candidates are those of a full refresh: twenty years of the Fed's series in
proportion, and so many days of minutes, hours and settlements.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from benchmarks.transform import NOW, add_candles, fill, store
from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.pipeline.transform import build_candidates, judge_candidates, transform
from feature_store.quality.checks import check_features
from feature_store.quality.periodic import check_source, sources_checked

DAYS = 30


def main() -> None:
    """Print the figures."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else DAYS
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder, store(Path(folder)) as (conn, settings):
        fill(conn, days)
        transform(conn, catalog, settings, "first")
        for what, full_refresh in ((f"{days} days", True), ("a minute", False)):
            if not full_refresh:
                clock.freeze(conn, NOW + timedelta(minutes=1, seconds=3))
                add_candles(conn, "klines_1m", NOW, NOW + timedelta(minutes=1))
            count = build_candidates(conn, settings, what, "raw", full_refresh)
            began = perf_counter()
            judge_candidates(conn, catalog, settings, what)
            _say(f"judging the candidates of {what} ({count:,} rows)", began)
        began = perf_counter()
        check_features(conn, settings, catalog, list(catalog.features.values()))
        _say("checking every feature", began)
        began = perf_counter()
        for source in sources_checked(catalog):
            check_source(conn, settings, catalog, source, "bench", docs="never")
        _say("all sources with their raw tables", began)


def _say(what: str, began: float) -> None:
    sys.stdout.write(f"quality, {what}: {perf_counter() - began:.1f} s\n")


if __name__ == "__main__":
    main()
