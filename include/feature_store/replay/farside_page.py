"""Farside's markup: the table of flows, and the pages that come in its place."""

from decimal import Decimal
from typing import NamedTuple

SPACE = "\u00a0"
"""Tickers are padded with it."""


class Fund(NamedTuple):
    """The head of a column."""

    issuer: str
    logo: str
    fee: str
    seed: str = ""
    """In millions of USD, for funds that brought assets along; an asterisk is a footnote."""


class Line(NamedTuple):
    """A row of the table: its label, the funds' numbers and their total; None is not known."""

    label: str
    cells: list[Decimal | None]


FUNDS: dict[str, dict[str, Fund]] = {
    "btc": {
        "IBIT": Fund("Blackrock", "blackrock", "0.25%"),
        "FBTC": Fund("Fidelity", "fidelity", "0.25%"),
        "BITB": Fund("Bitwise", "bitwise", "0.20%"),
        "ARKB": Fund("Ark", "ark", "0.21%"),
        "BTCO": Fund("Invesco", "invesco", "0.25%"),
        "EZBC": Fund("Franklin", "franklin", "0.19%"),
        "BRRR": Fund("Valkyrie", "valkyrie", "0.25%"),
        "HODL": Fund("VanEck", "vaneck", "0.20%"),
        "BTCW": Fund("WTree", "wtree", "0.25%"),
        "MSBT": Fund("MS", "ms", "0.14%"),
        "GBTC": Fund("Grayscale", "grayscale", "1.50%"),
        "BTC": Fund("Grayscale", "grayscale", "0.15%"),
    },
    "eth": {
        "ETHA": Fund("Blackrock", "blackrock", "0.25%", "10.6"),
        "ETHB": Fund("Blackrock", "blackrock", "0.25%", "-"),
        "FETH": Fund("Fidelity", "fidelity", "0.25%", "4.7"),
        "ETHW": Fund("Bitwise", "bitwise", "0.20%", "2.5"),
        "TETH": Fund("21Shares", "21shares", "0.21%", "0.5"),
        "ETHV": Fund("VanEck", "vaneck", "0.20%", "10.0"),
        "QETH": Fund("Invesco", "invesco", "0.25%", "0.1"),
        "EZET": Fund("Franklin", "franklin", "0.19%", "2.6"),
        "ETHE": Fund("Grayscale", "grayscale", "2.50%", "9,199.3*"),
        "ETH": Fund("Grayscale", "grayscale", "0.15%", "1,022.1"),
        "MSSE": Fund("MS", "ms", "0.14%", "-"),
    },
}
"""The funds in the order of the page's columns."""

CHALLENGE = (
    '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title>'
    '<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">'
    '<meta name="robots" content="noindex,nofollow"></head><body><div class="main-wrapper" role="main">'
    '<div class="main-content"><noscript><div class="h2"><span id="challenge-error-text">'
    "Enable JavaScript and cookies to continue</span></div></noscript></div></div></body></html>"
)
NOT_FOUND = (
    '<!DOCTYPE html>\n<html lang="en-GB">\n<head><title>Page not found &#8211; Farside Investors</title></head>\n'
    '<body class="error404"><h1 class="page-title">Oops! That page can&rsquo;t be found.</h1></body>\n</html>\n'
)
ERROR = (
    '<!DOCTYPE html><html lang="en-US"><head><title>farside.co.uk | {status}</title></head>'
    '<body><div id="cf-error-details"><h1>Error {status}</h1><p>{message}</p></div></body></html>'
)

HEAD_ROW = '\t<tr bgcolor="#eaeffa">\n    <th><span class="tabletext">{label}</span></th>\n{cells}\n</tr>\n'
LOGO = (
    '<div align="center"><a href="" class="grow">'
    '<img src="/images/etf/{logo}.jpg" alt="{issuer}" width="32" height="15"></a></div>'
)
DAY_ROW = (
    "            <tr{style}> \n"
    '                <td><span class="tabletext">{label}</span></td>\n'
    "                {cells}            </tr>\n      \n"
)
SUMMARY_ROW = (
    '<tr style="background-color: #eaeffa !important;">\n    <td><span class="tabletext">{label}</span></td>\n'
    "    {cells}</tr>\n\n"
)
NEWEST = ' style="background-color: #99ff99 !important;"'
PAGE = (
    '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="UTF-8">\n<title>{title} &#8211; Farside Investors'
    '</title>\n</head>\n<body>\n<table class="etf">\n<thead>\n{head}</thead>\n<tbody>            \n\n  \n{days}'
    "        \n\n{summaries}\t\n        \n</tbody>\n</table>\n\n</body>\n</html>\n"
)
TITLES = {"btc": "Bitcoin ETF Flow (US$m)", "eth": "Ethereum ETF Flow (US$m)"}


def page(stream: str, tickers: list[str], days: list[Line], summaries: list[Line]) -> str:
    """The page of a stream's flows; a fund that is not among FUNDS has its ticker for an issuer."""
    funds = [FUNDS[stream].get(ticker, Fund(ticker, ticker.lower(), "0.25%", "-")) for ticker in tickers]
    heads = [
        _head(SPACE * 23, [LOGO.format(**fund._asdict()) for fund in funds], SPACE * 6 + "Total"),
        _head("", [_right(f"{ticker:{SPACE}>{len(ticker) + 2}}") for ticker in tickers]),
        _head("Fee", [_right(fund.fee) for fund in funds]),
    ]
    if any(fund.seed for fund in funds):
        total = sum(Decimal(fund.seed.strip("*-").replace(",", "") or 0) for fund in funds)
        heads.append(_head("Seed", [_right(fund.seed) for fund in funds], f"{total:,.0f}"))
    return PAGE.format(
        title=TITLES[stream],
        head="".join(heads),
        days="".join(
            DAY_ROW.format(
                label=line.label,
                style=NEWEST if line is days[-1] else "",
                cells="".join(_cell(number, is_day=True) for number in line.cells),
            )
            for line in days
        ),
        summaries="".join(
            SUMMARY_ROW.format(label=line.label, cells="".join(_cell(number, is_day=False) for number in line.cells))
            for line in summaries
        ),
    )


def _head(label: str, cells: list[str], total: str = "") -> str:
    marked = [f"<th>{cell}</th>" for cell in [*cells, _right(total)]]
    return HEAD_ROW.format(label=label, cells="\n".join(f"\t{cell}" for cell in marked))


def _right(text: str) -> str:
    return f'<div align="right"><span class="tabletext">{text}</span></div>'


def _cell(number: Decimal | None, is_day: bool) -> str:
    """`zero-flow` is the class of both what is nothing and what is not known."""
    shown = "-" if number is None else f"{abs(number):,f}"
    if number is not None and number < 0:
        shown = f'<span class="redFont">({shown})</span>'
    kind = ' class="zero-flow"' if is_day and not number else ""
    return f"<td{kind}>{_right(shown)}</td>"
