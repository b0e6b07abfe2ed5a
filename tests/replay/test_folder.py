from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_store.errors import ReplayError
from feature_store.replay.folder import Folder, Row
from feature_store.replay.schedule import CatalogSchedule

from .server import write


def read(folder: Path, series: str, text: str) -> tuple[Row, ...]:
    write(folder, series, text)
    history = Folder(folder, CatalogSchedule()).history("fred", "observations", series)
    assert history is not None
    return history.rows


def test_the_least_is_ts_and_value(tmp_path: Path) -> None:
    assert read(tmp_path, "WTREGEN", "ts,value\n2024-01-03,741\n") == (
        Row(
            datetime(2024, 1, 3, tzinfo=UTC),
            "741",
            datetime(2024, 1, 4, 21, 30, tzinfo=UTC),
            "Millions of U.S. Dollars",
        ),
    )


def test_rows_are_served_in_the_order_of_their_publication(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        "X",
        "unit,available_at,ts,value\n,2024-02-01T00:00:00+01:00,2024-01-03,2\nm,2024-01-05,2024-01-03T12:00Z,1\n",
    )
    assert [(row.value, row.unit, row.available_at.isoformat()) for row in rows] == [
        ("1", "m", "2024-01-05T00:00:00+00:00"),
        ("2", "", "2024-01-31T23:00:00+00:00"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "X.csv:1: the header lacks column 'ts'"),
        ("ts,price\n", "X.csv:1: the header lacks column 'value'"),
        (
            "ts,value,source\n",
            "X.csv:1: the header has the column 'source'; allowed are ts,value and",
        ),
        ("ts,value\n2024-01-03,1,2\n", "X.csv:2: 3 cells, but the header names 2 columns"),
        (
            "ts,value\n2024-01-03,.\n",
            "X.csv:2: column 'value' holds '.'; allowed is a decimal number",
        ),
        ("ts,value\n2024-01-03,NaN\n", "X.csv:2: column 'value' holds 'NaN'"),
        (
            "ts,value\n03/01/2024,1\n",
            "X.csv:2: column 'ts' holds '03/01/2024'; allowed is a date",
        ),
        ("ts,value\n2024-01-03T10:00:00,1\n", "X.csv:2: column 'ts' holds '2024-01-03T10:00:00'"),
        ("ts,value,available_at\n\n2024-01-03,1,soon\n", "X.csv:3: column 'available_at' holds 'soon'"),
        ("ts,value\n2024-01-03,1\n", "X.csv:2: column 'available_at' is empty and the catalog knows no"),
        (
            "ts,value,available_at\n2024-01-03,1,2024-01-04\n2024-01-03,2,2024-01-04\n",
            "X.csv:3: column 'available_at' gives ts 2024-01-03T00:00:00+00:00 a second value",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ReplayError) as error:
        read(tmp_path, "X", text)
    assert complaint in str(error.value)


def test_a_file_is_parsed_once_by_each_loader(tmp_path: Path) -> None:
    write(tmp_path, "X", "ts,value,available_at\n2024-01-03,1,2024-01-04\n")
    folder = Folder(tmp_path, CatalogSchedule())
    place = ("fred", "observations", "X")
    assert folder.history(*place) is folder.history(*place)
    assert folder.read(*place, Path.read_text) is folder.read(*place, Path.read_text)
    assert folder.names("fred", "observations") == ["X"]


def test_a_name_that_leaves_the_folder_is_no_series(tmp_path: Path) -> None:
    write(tmp_path, "X", "ts,value,available_at\n2024-01-03,1,2024-01-04\n")
    folder = Folder(tmp_path / "fred", CatalogSchedule())
    assert folder.history("fred", "observations", "../../observations/X") is None
