"""What people read on a terminal."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from feature_store.cli.options import print_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (325256648392.55, "325,256,648,393"),
        (6.014e-05, "6.014e-05"),
        (2588.41, "2,588.41"),
        (122691, "122,691"),
        (Decimal("0E-9"), "0"),
        (True, "yes"),
        (None, ""),
        (timedelta(days=1, hours=7, seconds=25, microseconds=600_000), "1 day, 7:00:26"),
        (timedelta(hours=-16, seconds=-1), "-16:00:01"),
        (timedelta(microseconds=-4), "0:00:00"),
        (datetime(2026, 11, 23, 7, 21, 14, 5, UTC), "2026-11-23 07:21:14"),
    ],
)
def test_a_cell_is_shown_as_people_write_it(value: object, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table("rows", [{"cell": value}])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert line.strip("│").strip() == shown


def test_a_long_name_is_folded_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("features", [{"feature_id": "cex/binance/btcusdt_volume_usd_sa", "x": "y" * 70}])
    lines = [line.split("│")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert "".join(lines) == "cex/binance/btcusdt_volume_usd_sa"
