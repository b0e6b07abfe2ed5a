"""dbt's docs and Data Docs in Airflow's UI, for whoever may see that."""

from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

_MENU = {"destination": "nav", "category": "docs"}


class FeatureStoreDocs(AirflowPlugin):
    """Two entries of the menu Docs, and the app that answers them."""

    name = "feature_store_docs"
    external_views: ClassVar[list[dict[str, str]]] = [
        {**_MENU, "name": "dbt docs", "url_route": "dbt-docs", "href": "feature-store/dbt"},
        {**_MENU, "name": "Data Docs", "url_route": "data-docs", "href": "feature-store/data-docs/"},
    ]

    # Every task loads the plugins, and Airflow's API takes it a second to import: only the API server asks for this.
    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
        from airflow.api_fastapi.core_api.security import requires_access_view

        from feature_store.settings import load_settings
        from feature_store.stack.docs_pages import PREFIX, docs_app

        app = docs_app(load_settings(), requires_access_view(AccessView.WEBSITE))
        return [{"app": app, "url_prefix": PREFIX, "name": "docs of the feature store"}]
