"""Write the catalog into `registry.*`. Git is where it is changed; the database copy follows it.

Every content an entry ever had is kept; `is_current` marks what the catalog holds now. Running it again
changes nothing, and two runs at once wait for each other.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from feature_store.catalog import calendars
from feature_store.catalog.calendars import CALENDARS, FIRST, HORIZON, sessions
from feature_store.catalog.contracts import DEFINITION_KEYS, FeatureSpec, Source
from feature_store.catalog.load import Catalog
from feature_store.errors import CatalogError

Connection = psycopg.Connection[Any]


def sync(conn: Connection, catalog: Catalog) -> dict[str, int]:
    """Bring `registry.*` in line with the catalog in one transaction; return how many rows changed by table.

    Raises CatalogError when a definition, or the version of an input, changed without a higher `version`, or a
    version went down: numbers already published under that version would then mean two things.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtext('registry.sync'))")
        _refuse_silent_changes(conn, catalog)
        return {
            "data_sources": _sync_sources(conn, catalog.sources.values()),
            "features_catalog": _sync_features(conn, catalog.features.values()),
            "feature_series": _sync_series(conn, catalog),
            "feature_inputs": _sync_inputs(conn, catalog),
            "calendar_sessions": _sync_sessions(conn),
        }


def _refuse_silent_changes(conn: Connection, catalog: Catalog) -> None:
    stored = conn.execute("select id, version, spec from registry.features_catalog order by id, version").fetchall()
    errors: dict[str, None] = {}
    for feature_id, version, spec in stored:
        feature = catalog.features.get(feature_id)
        if feature is None:
            continue
        if feature.version < version:
            errors[
                f"features.yaml: {feature_id}: field version: given {feature.version}, but version {version} "
                f"was synchronised before; allowed: {version} or more"
            ] = None
        elif feature.version == version:
            for change in _changes(spec, feature.definition(), version):
                errors[f"features.yaml: {feature_id}: {change}"] = None
    errors |= dict.fromkeys(_raised_inputs(conn, catalog))
    if errors:
        raise CatalogError("the catalog cannot be synchronised:\n  " + "\n  ".join(errors))


def _changes(held: dict[str, Any], given: dict[str, Any], version: int) -> list[str]:
    def shown(definition: dict[str, Any], key: str) -> str:
        return json.dumps(definition[key], sort_keys=True) if key in definition else "nothing"

    return [
        f"field {key}: given {shown(given, key)}, but version {version} was synchronised with {shown(held, key)}; "
        f"raise version to {version + 1}, so that published numbers keep their meaning"
        for key in DEFINITION_KEYS
        if held.get(key) != given.get(key)
    ]


def _raised_inputs(conn: Connection, catalog: Catalog) -> Iterable[str]:
    """A line for each derived feature that an input of a higher version would change under its old version."""
    held = conn.execute(
        "select feature_id, version, input_id, input_version from registry.feature_inputs order by feature_id, position"
    ).fetchall()
    for feature_id, version, input_id, input_version in held:
        feature, read = catalog.features.get(feature_id), catalog.features.get(input_id)
        if feature is None or read is None or feature.version != version or input_id not in feature.inputs:
            continue
        if read.version > input_version:
            yield (
                f"features.yaml: {feature_id}: version {version} is computed from version {input_version} of "
                f"{input_id}, which is given version {read.version} now; raise version to {version + 1} here too"
            )


def _sync_sources(conn: Connection, sources: Iterable[Source]) -> int:
    rows = []
    for source in sources:
        spec = source.model_dump(mode="json", by_alias=True, exclude_none=True)
        rows.append((source.id, _digest(spec), source.slug, source.name, source.source_class, Jsonb(spec)))
    retired = conn.execute(
        """update registry.data_sources set is_current = false
           where is_current and (id, content_sha256) not in (select * from unnest(%s::text[], %s::text[]))""",
        ([row[0] for row in rows], [row[1] for row in rows]),
    ).rowcount
    return retired + _write(
        conn,
        """insert into registry.data_sources as held
             (id, content_sha256, slug, name, class, spec, is_current, synced_at)
           values (%s, %s, %s, %s, %s, %s, true, ops.now())
           on conflict (id, content_sha256) do update set is_current = true, synced_at = ops.now()
           where not held.is_current""",
        rows,
    )


def _sync_features(conn: Connection, features: Iterable[FeatureSpec]) -> int:
    rows = [_feature_row(feature) for feature in features]
    keys = [row[:3] for row in rows]
    retired = conn.execute(
        """update registry.features_catalog set is_current = false
           where is_current and (id, version, content_sha256) not in
             (select * from unnest(%s::text[], %s::int[], %s::text[]))""",
        [[key[part] for key in keys] for part in range(3)],
    ).rowcount
    return retired + _write(
        conn,
        """insert into registry.features_catalog as held
             (id, version, content_sha256, entity, description, unit, frequency, grain, ttl_ms, tags,
              source_id, source_class, calendar, label, period, spec, is_current, synced_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true, ops.now())
           on conflict (id, version, content_sha256) do update set is_current = true, synced_at = ops.now()
           where not held.is_current""",
        rows,
    )


def _feature_row(feature: FeatureSpec) -> tuple[Any, ...]:
    spec = feature.wire()
    return (
        feature.id,
        feature.version,
        _digest(spec),
        feature.entity,
        feature.description,
        feature.unit,
        feature.frequency,
        feature.grain,
        feature.ttl_ms,
        list(feature.tags),
        feature.source.id,
        feature.source.source_class,
        feature.calendar,
        feature.label,
        feature.period,
        Jsonb(spec),
    )


def _sync_series(conn: Connection, catalog: Catalog) -> int:
    rows = [
        row for feature in catalog.features.values() if feature.is_connected for row in _series_rows(catalog, feature)
    ]
    retired = conn.execute(
        """update registry.feature_series set is_current = false
           where is_current and (feature_id, version, coalesce(unit_stated, '')) not in
             (select * from unnest(%s::text[], %s::int[], %s::text[]))""",
        ([row[0] for row in rows], [row[1] for row in rows], [row[6] or "" for row in rows]),
    ).rowcount
    return retired + _write(
        conn,
        """insert into registry.feature_series as held
             (feature_id, version, source_slug, stream, series, field, unit_stated, factor, label, period,
              is_session, calendar, frequency, grain, unit, provisional, is_current)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::interval, %s, %s, %s, %s, %s, %s, true)
           on conflict (feature_id, version, unit_stated) do update set
             calendar = excluded.calendar, frequency = excluded.frequency, grain = excluded.grain,
             provisional = excluded.provisional, is_current = true
           where (held.calendar, held.frequency, held.grain, held.provisional, held.is_current)
             is distinct from
             (excluded.calendar, excluded.frequency, excluded.grain, excluded.provisional, true)""",
        rows,
    )


def _series_rows(catalog: Catalog, feature: FeatureSpec) -> list[tuple[Any, ...]]:
    is_session = feature.period == "session"
    return [
        (
            feature.id,
            feature.version,
            catalog.source(feature.source.id).slug,
            feature.stream,
            feature.series,
            feature.field or "value",
            unit_stated,
            factor,
            feature.label,
            None if is_session else feature.period,
            is_session,
            feature.calendar,
            feature.frequency,
            feature.grain,
            feature.unit,
            feature.provisional,
        )
        for unit_stated, factor in feature.factors.items()
    ]


def _sync_inputs(conn: Connection, catalog: Catalog) -> int:
    rows = [row for feature in catalog.features.values() for row in _input_rows(catalog, feature)]
    retired = conn.execute(
        """update registry.feature_inputs set is_current = false
           where is_current and (feature_id, version, position) not in
             (select * from unnest(%s::text[], %s::int[], %s::int[]))""",
        ([row[0] for row in rows], [row[1] for row in rows], [row[11] for row in rows]),
    ).rowcount
    return retired + _write(
        conn,
        """insert into registry.feature_inputs as held
             (feature_id, version, model, grain, unit, label, period, is_session, calendar, season, max_age,
              position, input_id, input_version, input_grain, input_unit, input_label, input_period,
              input_is_session, input_calendar, is_current)
           values (%s, %s, %s, %s, %s, %s, %s::interval, %s, %s, %s, %s::interval,
                   %s, %s, %s, %s, %s, %s, %s::interval, %s, %s, true)
           on conflict (feature_id, version, position) do update set
             model = excluded.model, grain = excluded.grain, calendar = excluded.calendar,
             season = excluded.season, input_version = excluded.input_version, input_grain = excluded.input_grain,
             input_calendar = excluded.input_calendar, is_current = true
           where (held.model, held.grain, held.calendar, held.season, held.input_version, held.input_grain,
                  held.input_calendar, held.is_current)
             is distinct from
             (excluded.model, excluded.grain, excluded.calendar, excluded.season, excluded.input_version,
              excluded.input_grain, excluded.input_calendar, true)""",
        rows,
    )


def _input_rows(catalog: Catalog, feature: FeatureSpec) -> list[tuple[Any, ...]]:
    inputs = [catalog.features[name] for name in feature.inputs]
    return [
        (
            feature.id,
            feature.version,
            feature.source.schema_name,
            feature.grain,
            feature.unit,
            *_times(feature),
            read.season,
            feature.max_age,
            position,
            read.id,
            read.version,
            read.grain,
            read.unit,
            *_times(read),
        )
        for position, read in enumerate(inputs, start=1)
    ]


def _times(feature: FeatureSpec) -> tuple[str, str | None, bool, str]:
    is_session = feature.period == "session"
    return feature.label, None if is_session else feature.period, is_session, feature.calendar


def _sync_sessions(conn: Connection) -> int:
    # Computing all calendars takes seconds, and they change only with their code and libraries.
    fingerprint = _calendars_fingerprint()
    if conn.execute("select fingerprint from registry.calendar_origin").fetchone() == (fingerprint,):
        return 0
    conn.execute(
        """insert into registry.calendar_origin (fingerprint) values (%s)
           on conflict (id) do update set fingerprint = excluded.fingerprint""",
        (fingerprint,),
    )
    conn.execute("create temp table sessions_given (like registry.calendar_sessions) on commit drop")
    with conn.cursor() as cursor, cursor.copy("copy sessions_given from stdin") as copy:
        for row in _all_sessions():
            copy.write_row(row)
    # A library's update may take a day away as well as add one.
    gone = conn.execute(
        """delete from registry.calendar_sessions as held
           where not exists (select from sessions_given as given
                             where given.calendar = held.calendar and given.date = held.date)"""
    ).rowcount
    changed = conn.execute(
        """insert into registry.calendar_sessions as held select * from sessions_given
           on conflict (calendar, date) do update set close_at = excluded.close_at
           where held.close_at <> excluded.close_at"""
    ).rowcount
    conn.execute("drop table sessions_given")
    return gone + changed


@cache
def _calendars_fingerprint() -> str:
    digest = sha256(Path(calendars.__file__).read_bytes())
    for library in ("exchange-calendars", "pandas-market-calendars", "pandas"):
        digest.update(installed_version(library).encode())
    return digest.hexdigest()


@cache
def _all_sessions() -> tuple[tuple[str, date, datetime], ...]:
    return tuple(
        (calendar, session.date, session.close_at)
        for calendar in CALENDARS
        for session in sessions(calendar, FIRST, HORIZON)
    )


def _write(conn: Connection, statement: Any, rows: list[tuple[Any, ...]]) -> int:
    with conn.cursor() as cursor:
        cursor.executemany(statement, rows)
        return cursor.rowcount


def _digest(spec: dict[str, Any]) -> str:
    return sha256(json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
