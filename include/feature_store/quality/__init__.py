"""Data quality: rules made from the catalog, judged by Great Expectations, recorded in `quality.results`.

`judge.judge` decides what is published, by `rules` of rows and of how they compare with those before (`changes`), and
lowers `confidence`. `periodic.check_source` checks what is there, by `checks`, and makes `incidents`, of which `alerts`
tell. `agreement` and `assessments` are what is thought of points later. `data_docs.build_data_docs` shows,
`suites.write_suites` writes the committed suites.
"""
