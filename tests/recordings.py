"""Where recorded answers and real histories lie. They are no part of this repository."""

from pathlib import Path

import pytest

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
RECORDED, HISTORIES = REAL / "recorded", REAL / "series"

needs_recordings = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"recorded answers are not part of this repository and not at {REAL}"
)
