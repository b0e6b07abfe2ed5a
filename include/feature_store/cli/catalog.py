"""`feature-store catalog`: check, list and show what the catalog holds."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from feature_store.catalog import Catalog, FeatureSpec, load_catalog
from feature_store.catalog import schema as schemas
from feature_store.errors import FeatureStoreError
from feature_store.settings import load_settings

app = typer.Typer(help="The catalog of sources and features.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--catalog", help="Folder of the catalog files, if not the settings'.")]


@app.command()
def validate(folder: Folder = None) -> None:
    """Check both catalog files; exit code 2 and all mistakes at once when something is wrong."""
    with _explained():
        catalog = load_catalog(folder)
        derived = sum(feature.is_derived for feature in catalog.features.values())
        typer.echo(f"ok: {len(catalog.sources)} sources, {len(catalog.features)} features, {derived} of them derived")


@app.command("list")
def list_features(
    folder: Folder = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """List the features with their source, and whether a connector for it exists yet."""
    with _explained():
        catalog = load_catalog(folder)
        rows = [_summary(catalog, feature) for feature in catalog.features.values()]
    if as_json:
        typer.echo(json.dumps({"features": rows}, indent=2))
        return
    table = Table("feature", "unit", "frequency", "source", "connector", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(row[key] for key in ("id", "unit", "frequency", "source", "connector")))
    # Wider than a small terminal rather than with ids cut off: they are there to be copied.
    Console(width=max(Console().width, 100)).print(table)


@app.command()
def show(
    feature_id: str,
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show everything the catalog says of one feature."""
    with _explained():
        catalog = load_catalog(folder)
        feature = catalog.feature(feature_id)
        summary = _summary(catalog, feature)
    if as_json:
        typer.echo(json.dumps(feature.wire(), indent=2))
        return
    table = Table(show_header=False)
    for key, value in [*feature.wire().items(), ("connector", summary["connector"])]:
        table.add_row(key, value if isinstance(value, str) else json.dumps(value))
    Console().print(table)


@app.command()
def schema(
    folder: Folder = None, write: Annotated[bool, typer.Option("--write", help="Write the files.")] = False
) -> None:
    """Check that the JSON Schemas beside the catalog files say what the contracts say, or write them."""
    with _explained():
        place = folder or load_settings().catalog_dir
    stale = schemas.write(place) if write else schemas.drifted(place)
    _tell(stale, "contracts", "run `feature-store catalog schema --write`", written=write)


@app.command()
def dictionary(write: Annotated[bool, typer.Option("--write", help="Write the page.")] = False) -> None:
    """Check that docs/data-dictionary.md says what the catalog says, or write it."""
    from feature_store.catalog import dictionary

    with _explained():
        catalog = load_catalog()
    stale = (dictionary.write if write else dictionary.drifted)(catalog)
    remedy = "run `feature-store catalog dictionary --write` and commit what changes"
    _tell(stale, "catalog", remedy, written=write)


@app.command()
def dbt(write: Annotated[bool, typer.Option("--write", help="Write the files.")] = False) -> None:
    """Check that what the dbt project takes from the catalog says what the catalog says, or write it."""
    from feature_store.warehouse import exposures, panel

    with _explained():
        catalog = load_catalog()
    stale = [path for made in (panel, exposures) for path in (made.write if write else made.drifted)(catalog)]
    _tell(stale, "catalog", "run `feature-store catalog dbt --write` and commit what changes", written=write)


def _tell(stale: Sequence[Path], of: str, remedy: str, *, written: bool) -> None:
    """Which generated files were written; or which differ and what to do, with exit code 2."""
    for path in stale:
        typer.echo(f"{'written' if written else f'differs from the {of}'}: {path}")
    if stale and not written:
        typer.echo(remedy, err=True)
        raise typer.Exit(2)


def _summary(catalog: Catalog, feature: FeatureSpec) -> dict[str, Any]:
    return {
        "id": feature.id,
        "version": feature.version,
        "unit": feature.unit,
        "frequency": feature.frequency,
        "source": feature.source.id,
        "connector": _connector(catalog, feature),
        "description": feature.description,
    }


def _connector(catalog: Catalog, feature: FeatureSpec) -> str:
    """A derived feature is as connected as all of its inputs."""
    if feature.is_derived:
        states = {_connector(catalog, catalog.feature(name)) for name in feature.inputs}
        return "connected" if states <= {"connected", "published"} else "no connector yet"
    if not feature.is_connected:
        return "published"
    return "connected" if catalog.connected(feature.source.id) else "no connector yet"


@contextmanager
def _explained() -> Iterator[None]:
    """Errors raised on purpose end as their message and exit code 2, without a traceback."""
    try:
        yield
    except FeatureStoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
