import httpx
from tests.api.conftest import *


def test_smoke(store):
    for path, p in [
        ("/healthz", {}),
        ("/readyz", {}),
        ("/v1/catalog", {"search": "VIX"}),
        ("/v1/catalog/macro/us/vix_index", {}),
        ("/v1/latest", {}),
        ("/v1/latest", {"featureIds": "macro/us/vix_index,crypto/btc/price_usd"}),
        ("/v1/latest", {"featureIds": "macro/us/vix_index,crypto/btc/price_usd"}),
        ("/v1/query", {"featureIds": "crypto/btc/price_usd", "limit": 3}),
        ("/v1/revisions", {"featureId": "crypto/btc/price_usd", "ts": "2024-06-03T10:05:00Z"}),
        ("/v1/explain", {"featureId": "macro/us/net_liquidity_usd", "ts": "2024-05-29T00:00:00Z"}),
        ("/v1/explain", {"featureId": "crypto/btc/price_usd", "ts": "2024-06-03T10:06:00Z"}),
        ("/v1/query", {"featureIds": "crypto/btc/price_usd", "since": "2024-06-03T10:05:00", "foo": 1}),
        ("/v1/nope", {}),
        ("/docs", {}),
        ("/openapi.json", {}),
        ("/v1/query", {"featureIds": "crypto/btc/pric"}),
    ]:
        r = store.get(path, **p)
        print(path, r.status_code, dict(r.headers), r.text[:900])
        print()
    with store.client() as c:
        body = {
            "spine": [
                {"at": "2024-06-03T10:30:00Z"},
                {"at": "2024-06-03T12:30:00+01:00", "asOf": "2024-06-03T20:00:00Z"},
            ],
            "featureIds": ["crypto/btc/price_usd", "macro/us/vix_index"],
            "detail": True,
        }
        for a in ["application/json", "text/csv", "application/x-ndjson"]:
            r = c.post("/v1/historical", json=body, headers={"Accept": a})
            print(r.status_code, dict(r.headers), r.text)
        r = c.post("/v1/historical", json={**body, "x": 1, "spine": [{"at": "2024"}]})
        print(r.text)
        r = c.put("/v1/query")
        print(r.text, r.headers)
    assert 0
