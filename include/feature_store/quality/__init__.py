"""Data quality: rules made from the catalog, judged by Great Expectations, recorded in `quality.results`.

`judge.judge` and `judge.judge_raw` decide, `freshness.check_freshness` tells, `data_docs.build_data_docs` shows,
`suites.write_suites` writes the committed suites. `assessments.assess` records what is thought of versions later.
"""
