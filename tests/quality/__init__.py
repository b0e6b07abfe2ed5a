"""Names the tests share."""

from datetime import UTC, datetime

NOW = datetime(2024, 1, 10, tzinfo=UTC)
WALCL = "macro/us/walcl_total_usd"
TGA = "macro/us/tga_balance_usd"
RRP = "macro/us/rrp_total_usd"
