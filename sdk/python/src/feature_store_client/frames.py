"""Answers as pandas has them, and the share of backfilled values that goes with a table."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from feature_store_client.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    import pandas as pd

_SHARE = b"backfilled_share"


def require_pandas() -> None:
    """Raises ConfigurationError where pandas is not installed: before anything is asked."""
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise ConfigurationError("this needs pandas: pip install 'feature-store-client[pandas]'") from None


def wide(table: pa.Table, features: Sequence[str]) -> "pd.DataFrame":
    """A row a ts and a column a feature, in the order asked, those without points too."""
    import pandas as pd

    long = table.select(["ts", "feature_id", "value"]).to_pandas()
    frame: pd.DataFrame = long.pivot(index="ts", columns="feature_id", values="value")
    in_order: pd.DataFrame = frame.reindex(columns=pd.Index(features))
    return in_order


def beside(spine: Any, joined: pa.Table) -> "pd.DataFrame":
    """The joined table; beside the columns of the spine and on its index, where that was a DataFrame."""
    import pandas as pd

    frame: pd.DataFrame = joined.to_pandas()
    if not isinstance(spine, pd.DataFrame):
        return frame
    frame.index = spine.index
    beside_it: pd.DataFrame = frame.drop(columns=[name for name in frame.columns if name in spine.columns])
    return pd.concat([spine, beside_it], axis=1)


def with_share(table: pa.Table, share: float | Mapping[str, float]) -> pa.Table:
    """The table with the share of its backfilled values in its metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _SHARE: json.dumps(share).encode()})


def backfilled_share(table: pa.Table) -> Any:
    """What share of an Arrow answer's values was backfilled: a number for points, by feature for a join."""
    share = (table.schema.metadata or {}).get(_SHARE)
    if share is None:
        raise InvalidRequest("this table is no answer of query_arrow or historical_arrow, or its metadata was lost")
    return json.loads(share)
