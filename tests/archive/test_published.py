"""What is published is archived as everything is, and the body of a request is kept for good."""

import json
from datetime import UTC, datetime, timedelta

from feature_store.archive import expire_payloads, move_payloads, read_payload
from feature_store.catalog import load_catalog
from feature_store.serving import QueryLayer
from tests.serving.publishing import SIGNAL, Desk, body, point, with_published

from .store import Store, key, table

CATALOG = with_published(load_catalog())
TEN = datetime(2024, 3, 20, 10, tzinfo=UTC)


def test_explain_leads_from_a_published_value_to_the_bytes_of_its_request(store: Store) -> None:
    desk = Desk(store.conn, CATALOG)
    desk.at("2024-03-20T12:00:00")
    sent = body(point(value=2.5, evidence=[{"source": "mail"}]))
    desk.send(sent)
    explained = QueryLayer(store.settings, CATALOG).explain(SIGNAL, TEN)
    assert (explained.value, explained.available_basis, explained.inputs) == (2.5, "ingested", [])
    [source] = explained.sources
    assert (source.source, source.stream, source.url, source.payload) == ("publish", "points", "publish:k1", "database")
    assert read_payload(store.conn, store.settings, str(source.sha256)) == sent

    move_payloads(store.conn, store.settings)
    desk.at("2034-03-20T12:00:00")
    assert expire_payloads(store.conn, store.settings, load_catalog()).payloads == 0
    [moved] = QueryLayer(store.settings, CATALOG).explain(SIGNAL, TEN).sources
    assert moved.payload.startswith("s3://")
    assert "/_payloads/publish/" in moved.payload
    assert read_payload(store.conn, store.settings, str(source.sha256)) == sent


def test_bytes_that_a_source_sent_too_are_kept_because_they_were_published(store: Store) -> None:
    desk = Desk(store.conn, CATALOG)
    desk.at("2024-03-20T12:00:00")
    desk.publish(point())
    store.conn.execute(
        """insert into raw.fetches (source, stream, endpoint, url, sha256, fetched_at, outcome)
           select 'binance', 'depth', '', '', sha256, fetched_at, 'loaded' from raw.fetches"""
    )
    store.conn.commit()
    desk.at("2034-03-20T12:00:00")
    assert expire_payloads(store.conn, store.settings, load_catalog()).payloads == 0


def test_a_published_point_is_exported_with_its_evidence_expanded(store: Store) -> None:
    desk = Desk(store.conn, CATALOG)
    desk.at("2024-03-20T12:00:00")
    desk.publish(point(value=2.5, evidence=[{"source": "mail", "url": "imap://1"}]))
    store.export()
    [text] = table(store.get(key("2024-03-20", SIGNAL)))["evidence"].to_pylist()
    request, mail = json.loads(text)
    assert (request["source"], request["url"], request["fetchedAt"]) == (
        "publish",
        "publish:k1",
        "2024-03-20T12:00:00Z",
    )
    assert mail == {"source": "mail", "url": "imap://1"}


def test_a_published_day_retires_once_the_history_holds_it_and_refuses_points_then(store: Store) -> None:
    desk = Desk(store.conn, CATALOG)
    desk.at("2024-03-20T12:00:00")
    desk.publish(point(), point(ts="2024-03-20T11:00:00Z", value=2))
    before = store.versions()
    desk.at(TEN + timedelta(days=100))
    assert store.retire(CATALOG).days
    assert (store.retired(), store.hot()) == ({(SIGNAL, "2024-03-20")}, [])
    assert store.versions() == before
    assert desk.rules(point(value=3)) == ["retired"]
