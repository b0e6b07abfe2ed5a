"""A centralised feature store for financial data that never lies about time."""
