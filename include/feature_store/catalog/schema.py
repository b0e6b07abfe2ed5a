"""JSON Schemas of the two catalog files, for editors: generated from the contracts, which are the truth."""

import json
from pathlib import Path

from pydantic import BaseModel

from feature_store.catalog.contracts import FeaturesFile, SourcesFile

SCHEMAS: dict[str, type[BaseModel]] = {
    "datasources.schema.json": SourcesFile,
    "features.schema.json": FeaturesFile,
}


def render() -> dict[str, str]:
    """The text of each schema file by its name."""
    return {
        name: json.dumps(model.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"
        for name, model in SCHEMAS.items()
    }


def write(folder: Path) -> list[Path]:
    """Write the schema files that differ from what the contracts say, and return their paths."""
    written = []
    for name, text in render().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def drifted(folder: Path) -> list[Path]:
    """The schema files that are absent or differ from what the contracts say."""
    return [
        folder / name
        for name, text in render().items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
