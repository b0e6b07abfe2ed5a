"""Data quality: rules made from the catalog, judged by Great Expectations, recorded in `quality.results`."""

from feature_store.quality.data_docs import build_data_docs
from feature_store.quality.freshness import check_freshness
from feature_store.quality.judge import judge, judge_raw
from feature_store.quality.results import RuleResult, Verdict
from feature_store.quality.rules import RAW_TABLES
from feature_store.quality.suites import write_suites

__all__ = [
    "RAW_TABLES",
    "RuleResult",
    "Verdict",
    "build_data_docs",
    "check_freshness",
    "judge",
    "judge_raw",
    "write_suites",
]
