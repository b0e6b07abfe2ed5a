"""Where a value comes from, as it goes over the wire."""

from datetime import UTC, datetime
from typing import Any

from feature_store.serving.explain import Assessed, Explained, Source


def told(version: Explained) -> dict[str, Any]:
    """A version with its sources and inputs, as JSON values under wire names."""
    return {
        "featureId": version.feature_id,
        "version": version.version,
        "ts": moment(version.ts),
        "value": version.value,
        "availableAt": moment(version.available_at),
        "availableBasis": version.available_basis,
        "ingestedAt": moment(version.ingested_at),
        "provisional": version.is_provisional,
        "confidence": version.confidence,
        "assessment": None if version.assessment is None else _assessment(version.assessment),
        "meta": version.meta,
        "sources": [_source(source) for source in version.sources],
        "inputs": [told(each) for each in version.inputs],
    }


def moment(at: datetime) -> str:
    """An instant in UTC with Z; microseconds only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _assessment(assessed: Assessed) -> dict[str, Any]:
    return {
        "assessedAt": moment(assessed.assessed_at),
        "reasons": assessed.reasons,
        "confidenceAtIngest": assessed.confidence_at_ingest,
    }


def _source(source: Source) -> dict[str, Any]:
    is_held = source.payload not in ("expired", "none")
    return {
        "source": source.source,
        "stream": source.stream,
        "url": source.url,
        "status": source.status,
        "fetchedAt": moment(source.fetched_at),
        "sha256": source.sha256,
        "sizeBytes": source.size_bytes,
        "payload": source.payload,
        "expiredAt": None if source.expired_at is None else moment(source.expired_at),
        "download": f"/v1/payloads/{source.sha256}" if is_held else None,
    }
