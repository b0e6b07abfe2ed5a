"""`feature-store keys`: who may ask the REST API."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from feature_store.cli.options import AsJson, instant, print_json, print_table, span

app = typer.Typer(help="Keys to the REST API.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="Its id, from `keys list`.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the key alone, for scripts.")]


def until(text: str) -> timedelta | datetime:
    """A duration from now, or an instant."""
    try:
        return span(text)
    except typer.BadParameter as no_span:
        try:
            return instant(text)
        except typer.BadParameter:
            raise no_span from None


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it allows: read (alone if none is given), publish, admin; repeat.")
    ] = None,
    expires: Annotated[
        Any, typer.Option(parser=until, help="When it ends: 90d, 24h, P90D or an instant; never if not given.")
    ] = None,
    rate_limit: Annotated[
        int | None,
        typer.Option(help="Requests a minute; 0: no limit; FEATURE_API_RATE_LIMIT_RPM if not given."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once: the database holds its hash alone."""
    from feature_store.serving.keys import create_key
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        made = create_key(conn, name, scope or ["read"], expires, rate_limit)
    _print_new(made, quiet=quiet, as_json=as_json)


@app.command("list")
def list_(
    also_ended: Annotated[bool, typer.Option("--all", help="Also those that expired or were revoked.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the keys, oldest first."""
    from feature_store.serving.keys import list_keys
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        rows = [asdict(key) for key in list_keys(conn) if also_ended or key.state == "active"]
    if as_json:
        print_json(rows)
    else:
        print_table("keys", [_shown(row) for row in rows])


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[timedelta, typer.Option(parser=span, help="How long the old key works on: 24h.")] = "24h",  # type: ignore[assignment]
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make a key in place of another, which ends after the grace."""
    from feature_store.serving.keys import rotate_key
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        made = rotate_key(conn, key_id, grace)
    _print_new(made, quiet=quiet, as_json=as_json)


@app.command()
def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """End a key at once."""
    from feature_store.serving.keys import revoke_key
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        ended = asdict(revoke_key(conn, key_id))
    if as_json:
        print_json(ended)
    else:
        print_table("revoked", [_shown(ended)])


def _print_new(made: Any, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(made.key), "token": made.token})
        return
    if not quiet:
        # The token stands alone on the standard output, so that it can be piped into where secrets are kept.
        print_table("made", [_shown(asdict(made.key))], Console(stderr=True))
        Console(stderr=True).print("The key, which nobody can show again:")
    typer.echo(made.token)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    limit = {None: "as set", 0: "none"}.get(row["rate_limit_rpm"], row["rate_limit_rpm"])
    return {
        "key": row["key_id"],
        "name": row["name"],
        "scopes": ", ".join(row["scopes"]),
        "a minute": str(limit),
        "created": row["created_at"],
        "ends": row["revoked_at"] or row["expires_at"],
        "state": row["state"],
    }
