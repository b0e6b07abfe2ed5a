"""Points of one feature as `quality.changes.compare` takes them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from feature_store.catalog import FeatureSpec
from feature_store.quality.changes import compare, step_of

START = datetime(2024, 1, 1, tzinfo=UTC)


def points(
    values: Sequence[float], step: timedelta, *, new: int | None = None, factors: Sequence[float] | None = None
) -> pd.DataFrame:
    """Values one step apart, of which the last `new` are candidates, by default all."""
    at = pd.DatetimeIndex([START + step * n for n in range(len(values))]).as_unit("us")
    return pd.DataFrame(
        {
            "feature_id": "x",
            "version": 1,
            "ts": at,
            "value": [float(value) for value in values],
            "available_at": at,
            "is_candidate": [n >= len(values) - (new or len(values)) for n in range(len(values))],
            "factor": factors or float("nan"),
            "amount": float("nan"),
        }
    )


def compared(feature: FeatureSpec, values: Sequence[float], *, new: int | None = None) -> pd.DataFrame:
    """How the candidates among them compare."""
    return compare(points(values, step_of(feature), new=new), feature)
