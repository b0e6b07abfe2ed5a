"""The history holds every version exactly once, whatever happens to those who write it."""

import io
from itertools import pairwise

import psycopg
import pyarrow.parquet as pq
import pytest
import stamina
from pydantic import SecretStr
from pyiceberg.table import StaticTable

from feature_store.archive import commit_history, open_history
from feature_store.archive.history import FILE_ROWS
from feature_store.errors import ArchiveError, Overtaken
from feature_store.stack.ports import free_port
from feature_store.warehouse.news import sweep_changed_days
from feature_store.warehouse.versions import VERSIONS, open_hot

from .store import A, B, Point, Store, instant, rows

MONDAY, TUESDAY, WEDNESDAY = "2024-03-04", "2024-03-05", "2024-03-06"
LATER = "2024-07-01"


class KilledError(Exception):
    """What a test raises where a process would die."""


def die(_: int) -> None:
    raise KilledError


def done_xid(store: Store) -> int:
    with open_history(store.settings) as history:
        return history.done_xid


def test_the_history_is_an_iceberg_table_of_all_versions(archive: Store) -> None:
    archive.append(Point(MONDAY, 1, meta={"ü": [1, None]}), Point("1969-12-31 23:59:59.999999", 2, evidence=[{"x": 1}]))
    archive.append(Point(MONDAY, None, available_at=LATER), Point(MONDAY, 3, version=2), Point(TUESDAY, 0.1, B))
    archive.append(Point(MONDAY, 1.5))
    assert archive.commit_history() == 6
    assert archive.archived() == archive.hot()
    assert [row[VERSIONS.get_field_index("correction")] for row in archive.archived()].count(1) == 1


def test_of_an_empty_store_there_is_no_history_and_reading_it_gives_nothing(archive: Store) -> None:
    assert archive.commit_history() == 0
    with open_history(archive.settings) as history:
        assert (history.table, history.done_xid, history.snapshots(), history.features()) == (None, 0, [], [])
        assert history.read().read_all().schema == VERSIONS
    assert archive.files() == {}


def test_commits_only_append(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    files = archive.files()
    archive.append(Point(MONDAY, 2, available_at=LATER), Point(TUESDAY))
    assert archive.commit_history() == 2
    written = {name: content for name, content in files.items() if not name.endswith("metadata.json")}
    assert written.items() <= archive.files().items(), "nothing that was written is changed or gone"
    assert archive.archived() == archive.hot()


def test_a_commit_of_nothing_new_changes_nothing(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    writes = archive.writes()
    assert archive.commit_history() == 0
    assert archive.writes() == writes


def test_a_day_of_the_daily_features_is_in_the_history_too(archive: Store) -> None:
    archive.append(Point("2015-06-01", grain="daily"), Point("2024-03-01", 2, grain="daily"), Point(MONDAY, 3, B))
    archive.commit_history()
    archive.append(Point("2015-06-01", 4, grain="daily", available_at=LATER))
    archive.commit_history()
    assert archive.archived() == archive.hot()
    assert len(archive.archived()) == 4


def test_versions_are_read_by_feature_time_and_column(archive: Store) -> None:
    archive.append(*(Point(f"{day} {hour}:00", feature=name) for day in (MONDAY, TUESDAY) for hour in (0, 12, 23)
                     for name in (A, B)))  # fmt: skip
    archive.commit_history()
    with open_history(archive.settings) as history, open_hot(archive.settings.postgres_dsn) as hot:
        for reader in (history, hot):
            found = reader.read([A], instant(f"{MONDAY} 12:00"), instant(f"{TUESDAY} 12:00"), ["value", "ts"])
            assert found.schema.names == ["ts", "value"], "columns come in the order of VERSIONS"
            assert sorted(found.read_all()["ts"].to_pylist()) == [
                instant(f"{MONDAY} 12:00"), instant(f"{MONDAY} 23:00"), instant(f"{TUESDAY} 00:00")
            ]  # fmt: skip
            assert reader.read([], None, None).read_all().num_rows == 0
            assert reader.read(["t/none"]).read_all().num_rows == 0
        assert history.features() == [A, B]


def test_a_commit_that_met_another_is_made_again_with_everything(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY), Point(WEDNESDAY, 2))
    met: list[int] = []

    def meet(_: int) -> None:
        if not met:
            with archive.iceberg() as table:
                table.append(VERSIONS.empty_table())  # a commit of somebody else
                met.append(table.metadata.current_snapshot_id or 0)

    assert archive.commit_history(meet) == 2
    assert archive.archived() == archive.hot()
    with archive.iceberg() as table:
        newest = table.current_snapshot()
        assert newest is not None
        assert newest.parent_snapshot_id == met[0]


def test_what_others_change_of_the_table_meanwhile_stays(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY))

    def meet(_: int) -> None:
        with archive.iceberg() as table, table.transaction() as transaction:
            transaction.set_properties({"owner": "quants"})
        with open_history(archive.settings) as history:
            history.name_snapshot("meanwhile")

    assert archive.commit_history(meet) == 1
    with open_history(archive.settings) as history:
        assert history.table is not None
        assert history.table.properties["owner"] == "quants"
        assert history.at("meanwhile").read().read_all().num_rows == 1
    assert archive.archived() == archive.hot()


def test_who_always_meets_another_gives_up_and_nothing_is_added(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY))

    def meet(_: int) -> None:
        with archive.iceberg() as table:
            table.append(VERSIONS.empty_table())

    with stamina.set_testing(True, attempts=2), pytest.raises(Overtaken, match=r"at the same time.*catches up"):
        archive.commit_history(meet)
    assert len(archive.archived()) == 1
    assert archive.commit_history() == 1


def test_killed_before_the_commit_nothing_is_added_and_the_next_run_adds_all(archive: Store) -> None:
    archive.append(Point(MONDAY), Point("2024-04-01"))
    with pytest.raises(KilledError):
        archive.commit_history(die)
    assert archive.archived() == []
    archive.append(Point(TUESDAY))
    assert archive.commit_history() == 3
    assert archive.archived() == archive.hot()


@pytest.mark.parametrize(
    ("table", "event"),
    [("ops.iceberg_tables", "insert"), ("ops.iceberg_tables", "update"), ("ops.watermarks", "insert or update")],
)
def test_killed_at_any_write_of_the_database_nothing_is_lost_or_doubled(archive: Store, table: str, event: str) -> None:
    if event != "insert":
        archive.append(Point(MONDAY))
        archive.commit_history()
    archive.append(Point(TUESDAY), Point(WEDNESDAY, feature=B))
    with archive.dying(table, event), pytest.raises((ArchiveError, psycopg.errors.RaiseException)):
        archive.commit_history()
    archive.commit_history()
    assert archive.archived() == archive.hot()
    assert archive.commit_history() == 0


def test_killed_after_the_commit_nothing_is_added_twice(archive: Store) -> None:
    archive.append(Point(MONDAY))
    with archive.dying("ops.watermarks"), pytest.raises(psycopg.errors.RaiseException, match="killed"):
        archive.commit_history()
    assert archive.archived() == archive.hot()
    assert archive.commit_history() == 0
    archive.append(Point(TUESDAY))
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


def test_a_version_whose_transaction_commits_late_is_not_lost(archive: Store) -> None:
    archive.append(*(Point(day, feature="t/made partitions") for day in (MONDAY, TUESDAY, WEDNESDAY)))
    archive.commit_history()
    with psycopg.connect(archive.settings.postgres_dsn, options="-c timezone=UTC") as conn:
        early = archive.beside(conn)
        early.append(Point(MONDAY, feature=B), commit=False)
        archive.append(Point(TUESDAY))
        archive.commit_history()
        assert len(archive.archived()) == 3, "what began after an open transaction waits for it"
        early.append(Point(WEDNESDAY, feature=B), commit=False)
        conn.commit()
    assert archive.commit_history() == 3
    archive.append(Point(WEDNESDAY))
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


def test_what_is_rolled_back_is_not_in_the_history(archive: Store) -> None:
    archive.append(Point(MONDAY), commit=False)
    archive.conn.rollback()
    archive.append(Point(TUESDAY))
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


def test_days_that_the_panel_is_done_with_are_remembered_until_the_history_is_too(archive: Store) -> None:
    def done() -> None:
        for consumer in ("derived", "panel"):
            archive.conn.execute("select ops.open_window(%s)", (consumer,))
            archive.conn.execute("select ops.close_window(%s)", (consumer,))
        archive.conn.commit()
        sweep_changed_days(archive.conn)

    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY))
    done()
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()
    done()
    assert archive.conn.execute("select count(*) from ops.changed_days").fetchone() == (0,)
    archive.append(Point(WEDNESDAY))
    assert archive.commit_history() == 1


def test_much_is_written_in_bounded_pieces_and_little_of_it_is_read_again(archive: Store) -> None:
    """Six features in minutes, 31 days; killed in mid-stream first."""
    minutes(archive, "abcdef", "2024-01-01", "2024-01-31 23:59")
    minutes(archive, "a", "2024-02-01", "2024-02-01 23:59")
    with pytest.raises(KilledError):
        archive.commit_history(die)
    assert archive.archived() == []
    told: list[int] = []
    assert archive.commit_history(told.append) == 269_280
    assert all(later - earlier <= FILE_ROWS for earlier, later in pairwise([0, *told])), "what is in memory at once"

    january = "ts >= '2024-01-01T00:00:00+00:00' and ts < '2024-02-01T00:00:00+00:00'"
    day = "ts >= '2024-01-10T00:00:00+00:00' and ts < '2024-01-11T00:00:00+00:00'"
    assert len(planned(archive, january)) == 2
    assert len(planned(archive, f"feature_id = 't/c' and {january}")) == 1, "a file has few features"
    assert len(planned(archive, "feature_id = 't/a'")) == 2, "one a month"
    assert groups(archive, january) >= 33
    assert groups(archive, f"feature_id = 't/c' and {january}", "t/c") <= 7, "a sixth, and two that are shared"
    assert groups(archive, f"feature_id = 't/c' and {day}", "t/c", "2024-01-10") <= 4, (
        "its own, and two that are shared"
    )


def test_nothing_that_lies_on_s3_holds_a_secret(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    place = psycopg.conninfo.conninfo_to_dict(archive.settings.postgres_dsn)
    secrets = [place["password"], archive.server.s3.secret_key, archive.server.s3.access_key]
    catalog = archive.conn.execute("select t::text from ops.iceberg_tables as t").fetchall()
    held = b"".join([*archive.files().values(), str(catalog).encode()])
    assert archive.files()
    assert not [secret for secret in secrets if str(secret).encode() in held]


def test_any_engine_reads_the_table_from_its_newest_metadata(archive: Store) -> None:
    archive.append(Point(MONDAY), Point(TUESDAY, 2))
    archive.commit_history()
    [(newest,)] = archive.conn.execute("select metadata_location from ops.iceberg_tables").fetchall()
    s3 = archive.server.s3
    access = {"s3.endpoint": archive.settings.s3_url, "s3.access-key-id": s3.access_key,
              "s3.secret-access-key": s3.secret_key, "s3.region": "us-east-1"}  # fmt: skip
    table = StaticTable.from_metadata(newest, access)
    assert rows(table.scan().to_arrow().cast(VERSIONS)) == archive.hot()


@pytest.mark.parametrize("form", ["url", "words", "url with options"])
def test_the_database_may_be_named_in_any_form_that_postgres_takes(archive: Store, form: str) -> None:
    place = psycopg.conninfo.conninfo_to_dict(archive.settings.postgres_dsn)
    url = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**place)
    dsn = {"url": url, "words": archive.settings.postgres_dsn, "url with options": f"{url}?application_name=quants"}
    settings = archive.settings.model_copy(update={"dsn": SecretStr(dsn[form])})
    archive.append(Point(MONDAY))
    assert commit_history(archive.conn, settings) == 1
    with open_history(settings) as history:
        assert history.features() == [A]


def test_a_catalog_that_is_away_is_told_without_the_password(archive: Store) -> None:
    place = psycopg.conninfo.conninfo_to_dict(archive.settings.postgres_dsn)
    gone = psycopg.conninfo.make_conninfo(archive.settings.postgres_dsn, port=free_port())
    settings = archive.settings.model_copy(update={"dsn": SecretStr(gone)})
    with pytest.raises(ArchiveError, match="its catalog in the database failed") as told, open_history(settings):
        pass
    assert str(place["password"]) not in str(told.value)


def test_when_s3_goes_away_in_mid_commit_nothing_is_lost_and_the_next_run_catches_up(archive: Store) -> None:
    away = rf"the history at {archive.settings.export_s3_uri}/_history \({archive.settings.s3_url}\).*catches up"
    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY))
    with pytest.raises(ArchiveError, match=away):
        archive.commit_history(lambda _: archive.server.stop())
    with pytest.raises(ArchiveError, match=away):
        archive.archived()
    archive.server.start()
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


def minutes(store: Store, features: str, first: str, last: str) -> None:
    """A point a minute of each feature, called t/ and a letter."""
    store.conn.execute(
        f"""create temp view minutes as
            select 't/' || feature as feature_id, 1 as version, 'intraday' as grain, at as ts, 1.0::float8 as value,
              at as available_at, 'vintage' as available_basis, false as is_provisional, 1.0::float8 as confidence,
              '{{}}'::jsonb as meta, '[]'::jsonb as evidence
            from regexp_split_to_table('{features}', '') as feature
            cross join generate_series('{first}'::timestamptz, '{last}', interval '1 minute') as at""".encode()
    )
    store.conn.execute("select features.append_versions('minutes')")
    store.conn.execute("drop view minutes")
    store.conn.commit()


def planned(store: Store, condition: str) -> list[str]:
    """The files that pyiceberg reads for a condition."""
    with store.iceberg() as table:
        return [task.file.file_path for task in table.scan(row_filter=condition).plan_files()]


def groups(store: Store, condition: str, feature: str | None = None, day: str | None = None) -> int:
    """How many row groups of them a reader has to look into, by their statistics."""
    found = 0
    for path in planned(store, condition):
        file = pq.ParquetFile(io.BytesIO(store.get(path.removeprefix(f"{store.settings.export_s3_uri}/")))).metadata
        for index in range(file.num_row_groups):
            feature_id, _, ts = (file.row_group(index).column(number).statistics for number in range(3))
            is_of_feature = feature is None or feature_id.min <= feature <= feature_id.max
            found += is_of_feature and (day is None or ts.min.date() <= instant(day).date() <= ts.max.date())
    return found
