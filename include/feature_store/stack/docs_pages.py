"""dbt's docs and Great Expectations' Data Docs as an app, which Airflow's API server mounts behind its login."""

from collections.abc import Callable
from html import escape
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from feature_store.quality.data_docs import site
from feature_store.settings import Settings
from feature_store.warehouse.dbt import docs_page

PREFIX = "/feature-store"
"""Where Airflow mounts the app."""

HEADERS = {
    # Asked for anew each time, so that nothing is shown after a logout.
    "Cache-Control": "private, no-cache",
    # The pages show what sources said, on Airflow's origin: they load from here alone and send nothing anywhere.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'none'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}


def docs_app(settings: Settings, authorise: Callable[..., Any]) -> FastAPI:
    """The pages of one state directory; `authorise` is a dependency that raises when the asker may not see them.

    `/dbt` is one page, `/data-docs/` a site. Where nothing was written yet, a page says what writes it.
    """
    home = settings.home.resolve()
    page = docs_page(settings).resolve()
    data_docs = StaticFiles(directory=site(home), html=True, check_dir=False)
    app = FastAPI(dependencies=[Depends(authorise)], openapi_url=None)

    @app.get("/dbt")
    def dbt() -> Response:
        if not page.exists():
            return _missing(
                "dbt's docs",
                "<code>make up</code>, or with Docker the service <code>begin</code>, writes them as its last step",
            )
        return FileResponse(page, headers=HEADERS)

    @app.get("/data-docs/{path:path}")
    async def expectations(request: Request, path: str) -> Response:
        if not (site(home) / "index.html").exists():
            return _missing(
                "Data Docs",
                "the next run of <code>transform_features</code> or <code>quality_checks</code> writes them, and "
                "<code>feature-store quality docs</code> does so at once",
            )
        try:
            response = await data_docs.get_response(path, request.scope)
        except HTTPException:
            return _explained(404, f"There is no page {escape(path)}", "Results of old runs are removed.")
        response.headers.update(HEADERS)
        return response

    return app


def _missing(what: str, advice: str) -> Response:
    return _explained(404, f"{what} are not there yet", f"{advice}. Then load this page again.")


def _explained(status: int, title: str, text: str) -> Response:
    style = "font-family: system-ui, sans-serif; margin: 3rem; color-scheme: light dark"
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    body += f'<body style="{style}"><h1>{title}</h1><p>{text}</p>'
    return HTMLResponse(body, status, headers=HEADERS)
