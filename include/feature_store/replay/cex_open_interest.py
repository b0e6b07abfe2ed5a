"""Open interest of BTC perpetuals, in the shape and the unit of each venue."""

from decimal import Decimal
from typing import Any

from starlette.datastructures import QueryParams

from feature_store.replay.cex_words import UnknownSymbol
from feature_store.replay.invented_cex import Moment, open_interest

OKX_CONTRACT_COINS, OKX_CONTRACT_DOLLARS = 0.01, 100


def _count(params: QueryParams, moment: Moment) -> Any:
    symbol = _known(params, "symbol", "BTCUSDT")
    return {"symbol": symbol, "openInterest": f"{open_interest('binance', moment):.3f}", "time": moment.ms - 1200}


def _premium(params: QueryParams, moment: Moment) -> Any:
    return {
        "symbol": _known(params, "symbol", "BTCUSDT"),
        "markPrice": f"{moment.price * 0.9996:.8f}",
        "indexPrice": f"{moment.price:.8f}",
        "estimatedSettlePrice": f"{moment.price * 0.9998:.8f}",
        "lastFundingRate": "0.00008390",
        "interestRate": "0.00010000",
        "nextFundingTime": (moment.ms // 28_800_000 + 1) * 28_800_000,
        "time": moment.ms,
    }


def _coin_count(params: QueryParams, moment: Moment) -> Any:
    return {
        "symbol": _known(params, "symbol", "BTCUSD_PERP"),
        "pair": "BTCUSD",
        "openInterest": f"{open_interest('binance-coin', moment):.0f}",
        "contractType": "PERPETUAL",
        "time": moment.ms,
    }


def _okx(params: QueryParams, moment: Moment) -> Any:
    name = _known(params, "instId", "BTC-USDT-SWAP", "BTC-USD-SWAP")
    if name == "BTC-USDT-SWAP":
        contracts = open_interest("okx-linear", moment)
        coins = contracts * OKX_CONTRACT_COINS
    else:
        contracts = round(open_interest("okx-inverse", moment))
        coins = contracts * OKX_CONTRACT_DOLLARS / moment.price
    row = {"instId": name, "instType": "SWAP", "oi": f"{contracts:.2f}", "oiCcy": f"{coins:.4f}"}
    row |= {"oiUsd": f"{coins * moment.price:.8f}", "ts": str(moment.ms)}
    return {"code": "0", "data": [row], "msg": ""}


def _bybit(params: QueryParams, moment: Moment) -> Any:
    category = params.get("category")
    symbol = _known(params, "symbol", {"linear": "BTCUSDT", "inverse": "BTCUSD"}.get(category or "", ""))
    if category == "linear":
        count = f"{open_interest('bybit-linear', moment):.3f}"
        value = f"{Decimal(count) * Decimal(f'{moment.price:.2f}'):.2f}"
    else:
        count = f"{open_interest('bybit-inverse', moment):.0f}"
        value = f"{float(count) / moment.price:.2f}"
    last = f"{moment.price:.2f}"
    row = {"symbol": symbol, "lastPrice": last, "indexPrice": last, "markPrice": last}
    row |= {"openInterest": count, "openInterestValue": value, "fundingRate": "0.0001"}
    result = {"category": category, "list": [row]}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": moment.ms}


def _kraken(_: QueryParams, moment: Moment) -> Any:
    inverse, linear = open_interest("kraken-inverse", moment), open_interest("kraken-linear", moment)
    rows = [
        ("PI_XBTUSD", "perpetual", round(inverse)),
        ("FI_XBTUSD_261225", "quarter", round(inverse / 3)),
        ("PF_XBTUSD", "perpetual", round(linear, 4)),
        ("PF_ETHUSD", "perpetual", round(linear * 12, 3)),
    ]
    tickers = [
        {
            "symbol": symbol,
            "tag": tag,
            "pair": "ETH:USD" if "ETH" in symbol else "XBT:USD",
            "markPrice": round(moment.price / (33 if "ETH" in symbol else 1), 2),
            "openInterest": float(count),
            "suspended": False,
            "postOnly": False,
        }
        for symbol, tag, count in rows
    ]
    return {
        "result": "success",
        "serverTime": f"{moment.at:%Y-%m-%dT%H:%M:%S}.{moment.ms % 1000:03d}Z",
        "tickers": tickers,
    }


def _deribit(params: QueryParams, moment: Moment) -> Any:
    name = _known(params, "instrument_name", "BTC-PERPETUAL", "BTC_USDC-PERPETUAL")
    count: float = round(open_interest("deribit-inverse", moment) / 10) * 10
    if name != "BTC-PERPETUAL":
        count = round(open_interest("deribit-linear", moment), 3)
    result = {
        "timestamp": moment.ms,
        "state": "open",
        "open_interest": count,
        "mark_price": round(moment.price, 2),
        "instrument_name": name,
        "index_price": round(moment.price, 2),
        "bids": [[round(moment.price * 2) / 2 - 0.5, 199190.0]],
        "asks": [[round(moment.price * 2) / 2 + 0.5, 88210.0]],
    }
    at = moment.ms * 1000
    return {"jsonrpc": "2.0", "result": result, "usIn": at, "usOut": at + 160, "usDiff": 160, "testnet": False}


def _bitget(params: QueryParams, moment: Moment) -> Any:
    symbol = _known(params, "symbol", "BTCUSDT")
    data = {
        "openInterestList": [{"symbol": symbol, "size": f"{open_interest('bitget', moment):.4f}"}],
        "ts": str(moment.ms),
    }
    return {"code": "00000", "msg": "success", "requestTime": moment.ms, "data": data}


def _bitget_price(params: QueryParams, moment: Moment) -> Any:
    price = f"{moment.price:.1f}"
    row = {"symbol": _known(params, "symbol", "BTCUSDT"), "price": price, "indexPrice": price, "markPrice": price}
    return {"code": "00000", "msg": "success", "requestTime": moment.ms, "data": [{**row, "ts": str(moment.ms)}]}


ANSWERS = {
    "binance-futures/fapi/v1/openInterest": _count,
    "binance-futures/fapi/v1/premiumIndex": _premium,
    "binance-coin/dapi/v1/openInterest": _coin_count,
    "okx/api/v5/public/open-interest": _okx,
    "bybit/v5/market/tickers": _bybit,
    "kraken-futures/derivatives/api/v3/tickers": _kraken,
    "deribit/api/v2/public/get_order_book": _deribit,
    "bitget/api/v2/mix/market/open-interest": _bitget,
    "bitget/api/v2/mix/market/symbol-price": _bitget_price,
}
"""Host and path → what answers."""


def _known(params: QueryParams, name: str, *symbols: str) -> str:
    symbol = params.get(name)
    if not symbol or symbol not in symbols:
        raise UnknownSymbol
    return symbol
