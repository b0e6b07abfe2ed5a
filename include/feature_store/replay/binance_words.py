"""How Binance says no: codes, messages and the pages of the machines before it."""

import json

from starlette.requests import Request
from starlette.responses import Response

from feature_store.replay.binance_limits import BAN_SECONDS, milliseconds_from_now

JSON = {"Content-Type": "application/json;charset=UTF-8"}
HTML = {"Content-Type": "text/html"}
TOO_MANY = -1003
RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this "
    "message in error."
)
FIREWALL = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">\n'
    '<HTML><HEAD><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=iso-8859-1">\n'
    "<TITLE>ERROR: The request could not be satisfied</TITLE>\n</HEAD><BODY>\n<H1>403 ERROR</H1>\n"
    '<H2>The request could not be satisfied.</H2>\n<HR noshade size="1px">\nRequest blocked.\n</BODY></HTML>\n'
)
NGINX = (
    "<html>\r\n<head><title>{reason}</title></head>\r\n<body>\r\n<center><h1>{reason}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
MESSAGES = {
    400: (-1100, "Illegal characters found in a parameter."),
    418: (
        TOO_MANY,
        "Way too much request weight used; IP banned until {until}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    ),
    429: (
        TOO_MANY,
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    ),
    451: (0, RESTRICTED),
    500: (-1000, "An unknown error occurred while processing the request."),
    503: (-1001, "Internal error; unable to process your request. Please try again."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}
PAGES = {403: FIREWALL, 404: NGINX.format(reason="404 Not Found"), 502: NGINX.format(reason="502 Bad Gateway")}
LIMITS = {"api": 6000, "fapi": 2400}
"""Weight a minute and address, by host: `api` for spot, `fapi` for futures."""
HOSTS = {"futures": "fapi"}
"""First part of a path → its host, where that has another name."""


class BinanceError(Exception):
    """A request that Binance answers with 400."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """The body for a status, with Binance's words where none are given. A ban names its end, in ms of real time."""
    family = family_of(request)
    if status == 404 and family == "fapi":
        return error(404, -5000, message or f"Path {_path(request)}, Method {request.method} is invalid")
    if status in PAGES:
        return Response(PAGES[status], status, HTML)
    code, words = MESSAGES[status]
    until = milliseconds_from_now(BAN_SECONDS if retry_after is None else retry_after)
    return error(status, code, message or words.format(until=until, limit=LIMITS.get(family, LIMITS["api"])))


def error(status: int, code: int, message: str) -> Response:
    """The body of every error that Binance's own servers give."""
    return Response(json.dumps({"code": code, "msg": message}, separators=(",", ":")), status, JSON)


def family_of(request: Request) -> str:
    """The host that a path below the mount stands for."""
    first = _path(request).split("/")[1]
    return HOSTS.get(first, first)


def _path(request: Request) -> str:
    return "/" + request.url.path.strip("/").partition("/")[2]
