"""Client of the feature store: financial features as they were known at any instant.

from feature_store_client import FeatureStore

with FeatureStore() as store:
    store.get_latest_feature_point("crypto/btc/price_usd")
"""

from feature_store_client.clients import AsyncFeatureStore, FeatureStore
from feature_store_client.errors import (
    AuthenticationError,
    BytesExpired,
    ConfigurationError,
    ConnectionFailed,
    FeatureStoreError,
    IdempotencyMismatch,
    InvalidRequest,
    NoPointYet,
    NotFound,
    PermissionDenied,
    PointsRejected,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    TimedOut,
    TooLarge,
    UnexpectedAnswer,
    UnknownFeature,
)
from feature_store_client.frames import backfilled_share
from feature_store_client.progress import Progress
from feature_store_client.results import (
    Assessment,
    Explanation,
    FeaturePoint,
    FeatureSource,
    FeatureSpec,
    JoinedPoint,
    JoinedRow,
    JoinedRows,
    NewPoint,
    PointError,
    Points,
    SourceAnswer,
    Version,
    WriteResult,
)

__all__ = [
    "Assessment",
    "AsyncFeatureStore",
    "AuthenticationError",
    "BytesExpired",
    "ConfigurationError",
    "ConnectionFailed",
    "Explanation",
    "FeaturePoint",
    "FeatureSource",
    "FeatureSpec",
    "FeatureStore",
    "FeatureStoreError",
    "IdempotencyMismatch",
    "InvalidRequest",
    "JoinedPoint",
    "JoinedRow",
    "JoinedRows",
    "NewPoint",
    "NoPointYet",
    "NotFound",
    "PermissionDenied",
    "PointError",
    "Points",
    "PointsRejected",
    "Progress",
    "RateLimited",
    "ServerError",
    "ServiceUnavailable",
    "SourceAnswer",
    "TimedOut",
    "TooLarge",
    "UnexpectedAnswer",
    "UnknownFeature",
    "Version",
    "WriteResult",
    "backfilled_share",
]
