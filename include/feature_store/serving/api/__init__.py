"""The REST API: one FastAPI application over the query layer."""
