"""The dashboard as Grafana reads it: its panels, their queries, and what Grafana puts in the place of its macros."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from feature_store.settings import ROOT

FILE = ROOT / "monitoring" / "grafana" / "feature_store_qa.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries(kind: str) -> dict[str, str]:
    """Every query of this key, by the title of its panel and its letter."""
    return {
        f"{panel['title']} {target['refId']}": target[kind]
        for panel in PANELS
        for target in panel["targets"]
        if kind in target
    }


def promql(expr: str, features: Iterable[str]) -> str:
    """A query to Prometheus with everything chosen."""
    chosen = "|".join(re.escape(feature).replace("\\", "\\\\") for feature in features)
    for macro, value in {"$feature": f"({chosen})", "$__rate_interval": "1m", "$__interval": "15m"}.items():
        expr = expr.replace(macro, value)
    assert "$" not in expr
    return expr


def sql(query: str, features: Iterable[str]) -> str:
    """A query to PostgreSQL with everything chosen, of any time."""
    chosen = ", ".join(f"'{feature}'" for feature in features)
    query = query.replace("${feature:sqlstring}", chosen)
    query = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 between '2000-01-01T00:00:00Z' and '2100-01-01T00:00:00Z'", query)
    query = re.sub(
        r"\$__timeGroupAlias\((\w+), ?'1h'\)", r'floor(extract(epoch from \1) / 3600) * 3600 AS "time"', query
    )
    assert "$" not in query
    return query


def sources_of(found: Any) -> Iterator[dict[str, str]]:
    """The data source of everything that names one."""
    if isinstance(found, dict):
        if isinstance(found.get("datasource"), dict):
            yield found["datasource"]
        for part in found.values():
            yield from sources_of(part)
    elif isinstance(found, list):
        for part in found:
            yield from sources_of(part)
