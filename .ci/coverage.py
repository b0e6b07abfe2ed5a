"""Hold the coverage of the last test run against its floors: `python .ci/coverage.py coverage.json`."""

import json
import sys
from pathlib import Path

FLOORS = {"statements": 75.0, "branches": 70.0}


def main() -> int:
    """Print both shares; 1 when one is below its floor."""
    totals = json.loads(Path(sys.argv[1]).read_text())["totals"]
    shares = {
        "statements": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    for name, share in shares.items():
        sys.stdout.write(f"coverage of {name}: {share:.1f} % (at least {FLOORS[name]:.0f} %)\n")
    return int(any(share < FLOORS[name] for name, share in shares.items()))


if __name__ == "__main__":
    sys.exit(main())
