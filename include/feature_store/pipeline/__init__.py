"""From sources to published features, step by step: what the DAGs do, in one process too."""
