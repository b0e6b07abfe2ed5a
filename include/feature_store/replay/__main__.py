"""`python -m feature_store.replay` serves the configured folder."""

from feature_store.replay.server import serve

serve()
