"""The upstream sources, answered over real HTTP from a folder of series as of the clock's instant.

It imports nothing from `feature_store.sources`: what reads a wire format and what writes it must not
share a misreading. The folder format is in docs/replay.md.
"""
