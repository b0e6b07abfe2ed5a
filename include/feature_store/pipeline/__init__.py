"""From raw rows to published features: what the DAG `transform_features` does, in one process too."""
