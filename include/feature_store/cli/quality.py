"""`feature-store quality`: how every feature fares, the expectation suites and their pages."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from feature_store.catalog import load_catalog
from feature_store.cli.options import AsJson, print_json, print_table
from feature_store.errors import QualityError
from feature_store.quality.data_docs import build_data_docs
from feature_store.quality.suites import drifted, write_suites
from feature_store.settings import load_settings
from feature_store.warehouse.connection import connect

if TYPE_CHECKING:
    from feature_store.quality.checks import Checked

app = typer.Typer(help="How every feature fares; the expectation suites and their pages.")

_BARS = "▁▂▃▄▅▆▇█"


@app.callback(invoke_without_command=True)
def quality(context: typer.Context, as_json: AsJson = False) -> None:
    """Show of each feature its coverage, freshness, outliers, verdict and newest values, as they are now.

    feature-store quality --json
    """
    if context.invoked_subcommand is not None:
        return
    from feature_store.quality.checks import check_features

    catalog = load_catalog()
    with connect() as conn:
        found = check_features(conn, load_settings(), catalog, list(catalog.features.values()))
    if as_json:
        print_json({"features": [_as_json(checked) for checked in found]})
        return
    # Wider than a small terminal rather than with ids cut off: they are there to be copied.
    print_table("quality", [_row(checked) for checked in found], Console(width=max(Console().width, 120)))
    for checked in found:
        for result in checked.failures:
            typer.echo(f"{result.severity}: {result}")


def _row(checked: "Checked") -> dict[str, Any]:
    primary = checked.failures[0].rule if checked.failures else ""
    return {
        "feature": checked.feature.id,
        "coverage": f"{checked.coverage.ratio:.1%}",
        "age / ttl": "" if checked.ratio is None else f"{checked.ratio:.2f}",
        "outliers": checked.outliers,
        "verdict": f"{checked.verdict} {primary}".strip(),
        "newest values": _sparkline(checked.values),
    }


def _as_json(checked: "Checked") -> dict[str, Any]:
    primary = checked.failures[0] if checked.failures else None
    return {
        "feature_id": checked.feature.id,
        "verdict": checked.verdict,
        "check": primary and primary.rule,
        "message": primary and str(primary),
        "coverage": {
            "ratio": checked.coverage.ratio,
            "present": checked.coverage.present,
            "expected": checked.coverage.expected,
            "longest_gap": checked.coverage.missing,
        },
        "freshness": {
            "age_ms": checked.age and round(checked.age / timedelta(milliseconds=1)),
            "ttl_ms": checked.feature.ttl_ms,
            "ratio": checked.ratio,
        },
        "outliers": checked.outliers,
        "checks": [
            {
                "rule": result.rule,
                "severity": result.severity,
                "success": result.success,
                "observed": result.observed,
                "expected": result.expected,
                "reason": result.reason,
            }
            for result in checked.results
        ],
        "sparkline": _sparkline(checked.values),
        "values": checked.values,
    }


def _sparkline(values: tuple[float, ...]) -> str:
    """The values as bars between their least and their greatest."""
    low, high = min(values, default=0), max(values, default=0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    return "".join(_BARS[round((value - low) * scale)] for value in values)


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
