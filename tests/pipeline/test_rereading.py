"""A mended parser reads stored answers again: times stay, values are corrected, rejects are settled."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from typer.testing import CliRunner

from feature_store.archive import read_payload
from feature_store.cli import app
from feature_store.settings import load_settings
from feature_store.sources import binance
from feature_store.sources.contract import Block, Payload, Row
from feature_store.warehouse.landing import Place, land
from feature_store.warehouse.loading import Counts, load
from feature_store.warehouse.reading import read
from feature_store.warehouse.rereading import Reread, reread
from tests.replay.server import candle, candles

from .store import Store

DAY = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRICE = "crypto/btc/price_usd"
PLACE = Place("binance", "klines_1m", "UTC")


@pytest.fixture
def served(store: Store) -> Store:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        candles(store.folder, symbol, [candle("2024-03-01T00:00:00Z", at, 100 + at) for at in range(60)])
    return store


@pytest.fixture
def command(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line, with the test's store in its environment."""
    monkeypatch.setenv("FEATURE_STORE_POSTGRES_DSN", store.settings.postgres_dsn)
    monkeypatch.setenv("FEATURE_STORE_REPLAY_URL", store.replay_url)
    monkeypatch.setenv("FEATURE_STORE_HOME", str(store.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    load_settings.cache_clear()
    yield CliRunner()
    load_settings.cache_clear()


def answer(store: Store) -> Payload:
    """What replay says of the first minutes now."""
    import httpx

    params = {"symbol": "BTCUSDT", "interval": "1m", "startTime": "0", "endTime": "9999999999999", "limit": "1000"}
    said = httpx.get(f"{store.replay_url}/binance/{binance.KLINES}", params=params, timeout=None)
    return Payload(binance.KLINES, str(said.url), params, 200, "application/json", said.content, 1, store.now())


def misread(blocks: Iterator[Row | Block]) -> Iterator[Row]:
    """A parser that took the volume for the close."""
    for block in blocks:
        assert isinstance(block, Block)
        for row in block.rows():
            yield row._replace(values={**row.values, "close": row.values["volume"]})


def land_and_load(store: Store, rows: Iterator[Row] | None) -> int:
    payload = answer(store)
    fetch_id = land(store.conn, PLACE, "BTCUSDT", payload, "test")
    if rows is not None:
        spec = store.catalog.series("binance", "klines_1m")[0]
        load(store.conn, PLACE, spec, [read(spec, "UTC", fetch_id, rows)])
        store.conn.commit()
    return fetch_id


def reread_all(store: Store, since: datetime | None = None) -> Reread:
    *_, last = reread(store.conn, store.catalog, "binance", partial(read_payload, store.conn, store.settings), since)
    return last


def closes(store: Store) -> list[tuple[float, int]]:
    rows = store.conn.execute("select close::float8, reading from raw.binance_klines_1m order by ts, fetch_id, reading")
    return rows.fetchall()


def test_a_corrected_value_keeps_its_times_and_is_ingested_anew(served: Store) -> None:
    served.at(DAY + 3 * MINUTE + timedelta(seconds=5))
    land_and_load(served, misread(binance.parse(answer(served))))
    served.transform()
    before = served.versions_with_times(PRICE)
    assert [value for _, value, *_ in before] == [2.5, 2.5, 2.5]
    mistaken_at = served.now()
    served.at(DAY + timedelta(hours=2))
    found = reread_all(served)
    assert (found.answers, found.unreadable, found.left_alone) == (1, [], [])
    assert found.counts == Counts(fetched=4, loaded=4)
    served.transform()
    after = served.versions_with_times(PRICE)
    assert [value for _, value, *_ in after] == [2.5, 101.0, 2.5, 102.0, 2.5, 103.0]
    for old, new in zip(after[::2], after[1::2], strict=True):
        assert old[2:4] == new[2:4], "available_at and its basis stay as they were frozen"
        assert new[4] > old[4], "it is ingested now"
    assert served.state(PRICE, known=mistaken_at) == [101.0, 102.0, 103.0], "research sees what was true"
    assert served.state(PRICE, stored=mistaken_at) == [2.5, 2.5, 2.5], "an audit sees what the store said"
    assert reread_all(served).counts == Counts(fetched=4, duplicate=4)
    assert served.transform() == 0


def test_an_answer_whose_process_died_before_loading_is_loaded(served: Store) -> None:
    served.at(DAY + 3 * MINUTE + timedelta(seconds=5))
    land_and_load(served, None)
    served.at(DAY + timedelta(hours=1))
    assert reread_all(served).counts.loaded == 4
    fetched_at = served.conn.execute("select distinct fetched_at, is_provisional from raw.binance_klines_1m").fetchall()
    assert {at for at, _ in fetched_at} == {DAY + 3 * MINUTE + timedelta(seconds=5)}, "when it arrived, not when read"


def test_only_answers_since_an_instant_are_read_again(served: Store) -> None:
    for hours in (1, 2):
        served.at(DAY + timedelta(hours=hours))
        land_and_load(served, misread(binance.parse(answer(served))))
    assert reread_all(served, since=DAY + timedelta(hours=1, minutes=30)).answers == 1
    assert reread_all(served, since=DAY + timedelta(hours=3)).answers == 0


def test_answers_of_a_series_that_the_catalog_lost_are_left_alone(served: Store) -> None:
    served.at(DAY + 3 * MINUTE)
    land(served.conn, PLACE, "DOGEUSDT", answer(served), "test")
    found = reread_all(served)
    assert found.left_alone == ["1 answers of binance/klines_1m/DOGEUSDT, which the catalog does not have"]
    assert found.answers == 0


def test_answers_whose_bytes_have_expired_are_left_alone_and_counted(served: Store, command: CliRunner) -> None:
    fetch_ids = []
    for minutes in (2, 3):
        served.at(DAY + minutes * MINUTE + timedelta(seconds=5))
        fetch_ids.append(land_and_load(served, misread(binance.parse(answer(served)))))
    of_the_first = "select * from raw.binance_klines_1m where fetch_id = %s order by ts, reading"
    before = served.conn.execute(of_the_first, fetch_ids[:1]).fetchall()
    served.conn.execute(
        """update raw.payloads set content = null, expired_at = ops.now()
           where sha256 = (select sha256 from raw.fetches where fetch_id = %s)""",
        fetch_ids[:1],
    )
    found = reread_all(served)
    told = "1 answers of binance/klines_1m/BTCUSDT, whose bytes have expired"
    assert (found.answers, found.expired, found.left_alone, found.unreadable) == (1, 1, [told], [])
    assert found.counts.loaded > 0, "the other is read again"
    assert served.conn.execute(of_the_first, fetch_ids[:1]).fetchall() == before, "what was read of the first stays"
    done = command.invoke(app, ["reprocess", "--source", "binance", "--since", "2024-03-01"])
    assert done.exit_code == 0, done.output
    assert "binance: 1 answers read again" in done.output
    assert told in done.output


def test_an_unreadable_answer_is_listed_shown_and_accepted_once_it_can_be_read(
    served: Store, command: CliRunner
) -> None:
    served.at(DAY + 3 * MINUTE + timedelta(seconds=5))
    fetch_id = land_and_load(served, iter([Row("BTCUSDT", DAY, {"close": 1}), Row("BTCUSDT", DAY, {"close": 2})]))
    listed = command.invoke(app, ["rejects", "list"])
    assert listed.exit_code == 0, listed.output
    assert "unreadable_answer" in listed.output
    (reject_id,) = served.conn.execute("select reject_id from raw.rejects").fetchone() or (0,)
    served.conn.commit()
    shown = command.invoke(app, ["rejects", "show", str(reject_id)])
    assert "twice" in shown.output
    assert "api/v3/klines" in shown.output
    retried = command.invoke(app, ["rejects", "retry"])
    assert retried.exit_code == 0, retried.output
    assert "binance: 1 answers read again; 4 rows fetched: 4 loaded" in retried.output
    assert "3 versions appended" in retried.output
    assert served.conn.execute("select outcome from raw.fetches where fetch_id = %s", (fetch_id,)).fetchone() == (
        "loaded",
    )
    served.conn.commit()
    assert "unreadable_answer" not in command.invoke(app, ["rejects", "list"]).output
    assert "unreadable_answer" in command.invoke(app, ["rejects", "list", "--all"]).output


def test_reprocess_reads_again_and_publishes_what_differs(served: Store, command: CliRunner) -> None:
    served.at(DAY + 3 * MINUTE + timedelta(seconds=5))
    land_and_load(served, misread(binance.parse(answer(served))))
    served.transform()
    done = command.invoke(app, ["reprocess", "--source", "binance", "--since", "2024-03-01"])
    assert done.exit_code == 0, done.output
    assert "4 loaded" in done.output
    assert "3 versions appended" in done.output
    assert [close for close, reading in closes(served) if reading][:3] == [101.0, 102.0, 103.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rejects", "show", "99"], "there is no reject 99"),
        (["reprocess", "--source", "nobody", "--since", "2024-03-01"], "unknown source 'nobody'"),
        (["reprocess", "--source", "binance", "--since", "yesterday"], "is no instant such as"),
    ],
)
def test_bad_requests_say_what_to_do(command: CliRunner, arguments: list[str], said: str) -> None:
    done = command.invoke(app, arguments)
    assert done.exit_code != 0
    assert said in f"{done.output} {done.exception}"
