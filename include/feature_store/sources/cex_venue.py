"""What the venues of a round have in common: how one is asked and read, and how each says that something is wrong.

Most of them answer an error with status 200, so the body is asked first.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from feature_store.sources.contract import is_count_in_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Missing(Exception):  # noqa: N818 - no error: a round does without the venue, and says so
    """Why a venue does not count in a round: the words that stand in the row."""


@dataclass(frozen=True)
class Reading:
    """What a venue's answers come to; `at` (UTC) is the oldest instant they state, None where they state none."""

    measures: Mapping[str, Decimal | bool]
    at: datetime | None


@dataclass(frozen=True)
class Venue:
    """One venue: its host in the catalog, what it is asked (path and parameters), and what reads the answers.

    `read` takes the decoded body of each answer, in the order of `asks`, and raises Missing where they do not count.
    """

    name: str
    host: str
    asks: tuple[tuple[str, Mapping[str, str]], ...]
    read: Callable[..., Reading]


def amount(value: Any) -> Decimal:
    """A number that is not negative, whether the venue writes it as text or as a number."""
    text = "" if isinstance(value, bool) else str(value)
    if not AMOUNT.fullmatch(text):
        raise Missing(f"{value!r} is no amount")
    return Decimal(text)


def milliseconds(value: Any) -> datetime:
    """An instant in milliseconds since 1970, written as an integer or as text."""
    if type(value) is not int and not is_count_in_text(value):
        raise Missing(f"{value!r} is no instant: milliseconds were due")
    return EPOCH + timedelta(milliseconds=int(value))


def iso(value: str) -> datetime:
    """An instant in ISO 8601 with its zone; digits beyond microseconds are cut off."""
    instant = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    if instant.tzinfo is None:
        raise Missing(f"{value!r} is an instant without zone")
    return instant.astimezone(UTC)


def expect(said: Any, asked: str) -> None:
    """Missing when a venue answers for something else than what it was asked for."""
    if said != asked:
        raise Missing(f"it answered for {said!r} instead of {asked!r}")


def only(rows: list[Any]) -> Any:
    """The one row of a list."""
    if len(rows) != 1:
        raise Missing(f"{len(rows)} rows instead of one")
    return rows[0]


def binance(body: Any) -> Any:
    """Binance's answer. https://developers.binance.com/docs"""
    if "code" in body:
        raise Missing(f"{body['code']}: {body.get('msg')}")
    return body


def okx(body: Any) -> Any:
    """The `data` of OKX's answer. https://www.okx.com/docs-v5/en/#error-code"""
    if body["code"] != "0":
        raise Missing(f"{body['code']}: {body.get('msg')}")
    return body["data"]


def bybit(body: Any) -> Any:
    """The `result` of Bybit's answer. https://bybit-exchange.github.io/docs/v5/error"""
    if body["retCode"] != 0:
        raise Missing(f"{body['retCode']}: {body.get('retMsg')}")
    return body["result"]


def coinbase(body: Any) -> Any:
    """Coinbase Exchange's answer. https://docs.cdp.coinbase.com/exchange/docs/requests"""
    if "message" in body:
        raise Missing(str(body["message"]))
    return body


def kraken(body: Any) -> Any:
    """The `result` of Kraken's answer. https://docs.kraken.com/api/docs/guides/spot-errors"""
    if body["error"]:
        raise Missing(", ".join(map(str, body["error"])))
    return body["result"]


def kraken_futures(body: Any) -> Any:
    """Kraken Futures' answer. https://docs.kraken.com/api/docs/futures-api/trading/get-tickers"""
    if body["result"] != "success":
        raise Missing(str(body.get("error") or body.get("errors") or body["result"]))
    return body


def deribit(body: Any) -> Any:
    """The `result` of Deribit's answer. https://docs.deribit.com/#json-rpc"""
    if "error" in body:
        raise Missing(f"{body['error']['code']}: {body['error']['message']}")
    return body["result"]


def bitget(body: Any) -> Any:
    """The `data` of Bitget's answer. https://www.bitget.com/api-doc/common/error-code/restapi"""
    if body["code"] != "00000":
        raise Missing(f"{body['code']}: {body.get('msg')}")
    return body["data"]
