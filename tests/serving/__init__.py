"""Names the tests share."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np

from feature_store.catalog.contracts import FeatureSpec
from feature_store.serving.timing import Instants, microseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = ("24x7", "instant", None)
SHAPES = (
    INSTANT,
    ("fed-desk", "instant", None),
    ("weekly-wed", "end", "P7D"),
    ("sifma-us", "end", "session"),
    ("nyse", "start", "session"),
    ("fx-weekdays", "start", "session"),
    ("us-federal", "start", "session"),
    ("24x7", "start", "PT1M"),
    ("24x7", "start", "P1D"),
    ("24x7", "start", "P1M"),
    ("quarterly", "start", "P3M"),
    ("nyse", "start", "P1Y1M2DT3H"),
)
"""(calendar, label, period) as features have them, or could."""

Shape = tuple[str, str, str | None]


def shaped(like: FeatureSpec, shape: Shape) -> FeatureSpec:
    """The feature with another calendar, label and period."""
    return like.model_copy(update=dict(zip(("calendar", "label", "period"), shape, strict=True)))


def instants(of: Iterable[datetime]) -> Instants:
    """As serving takes them."""
    return np.array([microseconds(instant - EPOCH) for instant in of], np.int64)


def moments(of: Iterable[int]) -> list[datetime]:
    """As people read them."""
    return [EPOCH + timedelta(microseconds=int(instant)) for instant in of]
