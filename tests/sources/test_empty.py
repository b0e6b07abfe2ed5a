"""Answers in which there is nothing: no error, unless the source never has nothing to say."""

from typing import Any

from .shapes import Shape, dump, load

NOTHING = {
    ("etherscan", "gasoracle"): b'{"status":"0","message":"No records found","result":[]}',
    ("tradingview", "history"): b'{"s":"no_data"}',
}
"""How a source says so where it has words of its own for it; others give empty lists."""

NEVER = {
    ("farside", "btc"): "a page has days",
    ("farside", "eth"): "a page has days",
    ("defillama", "stablecoincharts"): "a series that was renamed",
    ("defillama", "protocols"): "a sum over nothing would be zero",
    ("defillama", "historical_chain_tvl"): "a series that was renamed",
    ("blockchain", "hash_rate"): "the whole chart is asked for",
    ("blockchain", "total_bitcoins"): "the whole chart is asked for",
    ("blockchain", "market_price"): "the whole chart is asked for",
    ("binance", "ticker_24h"): "the statistics are an object",
    ("binance", "open_interest"): "the count is an object",
    ("cex", "books"): "a round in which no venue answered",
    ("cex", "open_interest"): "a round in which no venue answered",
}
"""Where an empty answer is an error, and why."""


def emptied(tree: Any) -> Any:
    """Every list without its entries; an object that holds no list without its members."""
    if isinstance(tree, list):
        return []
    if isinstance(tree, dict) and any(isinstance(value, list) for value in tree.values()):
        return {name: emptied(value) for name, value in tree.items()}
    return {} if isinstance(tree, dict) else tree


def is_unknown(shape: Shape, content: bytes) -> bool:
    """Whether nothing is known but the number of a book without orders."""
    return {name for (_, name), value in (shape.cells(content) or {}).items() if value is not None} == {
        "last_update_id"
    }


def test_nothing_is_an_error_only_where_the_source_always_has_something(shapes: list[Shape]) -> None:
    seen = {}
    for shape in shapes:
        place = shape.slug, shape.stream
        if place == ("fred", "observations") and "observations" not in shape.payload.endpoint:
            continue
        content = NOTHING.get(place) or (dump(emptied(load(shape.payload.content))) if shape.is_json else b"<html>")
        answer = shape.answer(content)
        assert answer.fetched == 0 or is_unknown(shape, content), shape
        seen[place] = answer.error is None
    assert {place for place, is_fine in seen.items() if not is_fine} == NEVER.keys()
