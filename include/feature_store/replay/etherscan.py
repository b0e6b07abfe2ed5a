"""Etherscan: the gas oracle of Ethereum. https://docs.etherscan.io/

Real base: https://api.etherscan.io/v2. What is faithful and what is not is listed in docs/replay.md.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay.folder import Folder, plain
from feature_store.replay.mount import Mount, Now

SLUG, STREAM, SERIES = "etherscan", "gasoracle", "ProposeGasPrice"
ORACLE = ("gastracker", "gasoracle")
FOR_PAY = frozenset({("stats", "dailyavggasprice"), ("stats", "dailygasused"), ("stats", "dailyavggaslimit")})
KEY = re.compile(r"[A-Za-z0-9]{30,40}")

BURST = "Max calls per sec rate limit reached (3/sec)"
WRONG_KEY = "Missing/Invalid API Key"
UPGRADE = "Sorry, it looks like you are trying to access an API Pro endpoint. Contact us to upgrade to API Pro."
OTHER_CHAIN = "Free API access is not supported for this chain."
NO_CHAIN = "Missing or unsupported chainid parameter (required for v2 api)"
NO_ACTION = "Error! Missing Or invalid Action name"
WORDS = {400: NO_ACTION, 429: BURST}
"""What it says with status 200 where others have a status for it."""
PAGE = (
    '<!DOCTYPE html><html lang="en-US"><head><title>api.etherscan.io | {status}</title></head>'
    "<body><h1>Error {status}</h1><p>{message}</p></body></html>"
)

MERGE, BLOCK_OF_MERGE, A_BLOCK = datetime(2022, 9, 15, 6, 42, 42, tzinfo=UTC), 15_537_393, timedelta(seconds=12)
GWEI = Decimal("1e-9")
"""Prices have as many decimals: one wei."""
SAFE, FAST, BASE = Decimal("0.98"), Decimal("1.11"), Decimal("0.979")
"""The other prices as fractions of the proposed one."""
RATIOS = ("0.422381666666667", "0.636101388888889", "0.498272472222222", "0.512967333333333", "0.388741916666667")


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The one endpoint; module and action are in the query."""

    def api(request: Request) -> Response:
        instant = now()
        response = _answered(folder, request.query_params, instant)
        response.headers["Date"] = format_datetime(instant.astimezone(UTC), usegmt=True)
        return response

    return [Route("/api", api)]


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """A refusal of Etherscan's own has status 200 and says it in the body; Cloudflare's before it are pages."""
    if status in WORDS:
        return _not_ok(message or WORDS[status])
    return Response(PAGE.format(status=status, message=message), status, {"Content-Type": "text/html; charset=UTF-8"})


def _answered(folder: Folder, params: QueryParams, now: datetime) -> Response:
    asked = (params.get("module", ""), params.get("action", ""))
    if not params.get("chainid", "").isdecimal():
        return _not_ok(NO_CHAIN)
    if not KEY.fullmatch(params.get("apikey", "")):
        return _not_ok(WRONG_KEY)
    if params["chainid"] != "1":
        return _not_ok(OTHER_CHAIN)
    if asked != ORACLE:
        return _not_ok(UPGRADE if asked in FOR_PAY else NO_ACTION)
    history = folder.history(SLUG, STREAM, SERIES)
    visible = history.visible(now) if history else 0
    value = history.rows[visible - 1].value if history and visible else ""
    if not value:
        return _body("0", "No records found", [])
    return _body("1", "OK", _oracle(value, now))


def _oracle(value: str, now: datetime) -> dict[str, str]:
    """The proposed price as the folder has it; the rest follows from it and from the time."""
    price = Decimal(value)
    safe, fast, base = (plain((price * factor).quantize(GWEI)) for factor in (SAFE, FAST, BASE))
    block = BLOCK_OF_MERGE + (now - MERGE) // A_BLOCK
    return {
        "LastBlock": str(max(block, 0)),
        "SafeGasPrice": safe,
        "ProposeGasPrice": value,
        "FastGasPrice": fast,
        "suggestBaseFee": base,
        "gasUsedRatio": ",".join(RATIOS[(block + at) % len(RATIOS)] for at in range(len(RATIOS))),
    }


def _not_ok(words: str) -> Response:
    return _body("0", "NOTOK", words)


def _body(status: str, message: str, result: object) -> Response:
    text = json.dumps({"status": status, "message": message, "result": result}, separators=(",", ":"))
    return Response(text, 200, {"Content-Type": "application/json; charset=utf-8"})


MOUNT = Mount(
    slug=SLUG,
    series_of=lambda request: SERIES if request.query_params.get("action") == ORACLE[1] else None,
    routes=routes,
    refuse=refuse,
    wrong_key_message=WRONG_KEY,
)
