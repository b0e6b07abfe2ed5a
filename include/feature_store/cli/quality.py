"""`feature-store quality`: the expectation suites and their pages."""

from typing import Annotated

import typer

from feature_store.catalog import load_catalog
from feature_store.errors import QualityError
from feature_store.quality.data_docs import build_data_docs
from feature_store.quality.suites import drifted, write_suites
from feature_store.settings import load_settings

app = typer.Typer(help="The expectation suites and their pages.", no_args_is_help=True)


@app.command()
def suites(
    write: Annotated[bool, typer.Option("--write", help="Write what the catalog asks for.")] = False,
) -> None:
    """Compare the committed suites with the catalog, or write them anew."""
    catalog = load_catalog()
    if write:
        for path in write_suites(catalog):
            typer.echo(path)
    elif stale := drifted(catalog):
        raise QualityError(
            f"these suites do not follow the catalog: {', '.join(path.name for path in stale)}; "
            "run `feature-store quality suites --write` and commit what changes"
        )


@app.command()
def docs(
    publish: Annotated[bool, typer.Option("--publish", help="Then make `_data_docs/` on S3 the same.")] = False,
) -> None:
    """Rebuild the Data Docs from the results that are kept, and print the page to open."""
    index = build_data_docs()
    typer.echo(index)
    if publish:
        from feature_store.archive import publish_data_docs

        typer.echo(publish_data_docs(load_settings(), index.parent))
