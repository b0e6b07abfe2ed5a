"""The page /docs: Swagger UI, with every part of it served from here."""

from pathlib import Path

import fastapi_offline
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from feature_store.serving.api.problems import Problem

_ASSETS = Path(fastapi_offline.__file__).parent / "static"
_SERVED = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Feature Store API</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""

# Styles inside of elements are how Swagger UI draws; scripts come from here alone.
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


async def _page(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers=_POLICY)


async def _start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _SERVED:
        raise Problem("not-found", f"{request.url.path} is no part of the page")
    return FileResponse(_ASSETS / name, media_type=_SERVED[name], headers={"Cache-Control": "max-age=86400"})


def routes() -> list[BaseRoute]:
    """The page and its parts."""
    return [Route("/docs", _page), Route("/docs/start.js", _start), Route("/docs/{name}", _asset)]
