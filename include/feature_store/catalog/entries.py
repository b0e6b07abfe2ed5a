"""Read the entries of one catalog file and say of every mistake where it stands and what is allowed."""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from feature_store.catalog.contracts import RULE_KINDS, Contract
from feature_store.catalog.yaml_file import read_yaml

Entry = TypeVar("Entry", bound=BaseModel)


def read_entries(path: Path, key: str, contract: type[Entry]) -> tuple[list[Entry], list[str]]:
    """The valid entries of the list under `key`, and one line for each mistake.

    Raises CatalogError when the file is absent or is not YAML.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or set(content) != {key} or not isinstance(content[key], list):
        return [], [f"{path.name}: the file must hold one key, {key}, with a list of entries"]
    entries: list[Entry] = []
    errors: list[str] = []
    for position, raw in enumerate(content[key], start=1):
        name = raw.get("id", f"entry {position}") if isinstance(raw, Mapping) else f"entry {position}"
        try:
            entries.append(contract.model_validate(raw))
        except ValidationError as error:
            errors += [f"{path.name}: {name}: {_explain(contract, detail)}" for detail in error.errors()]
    return entries, errors


def _explain(contract: type[BaseModel], detail: ErrorDetails) -> str:
    place = _place(detail["loc"])
    where = f"field {'.'.join(place)}: " if place else ""
    match detail["type"]:
        case "extra_forbidden":
            allowed = ", ".join(_keys(_model_at(contract, place[:-1])))
            return f"{where}unknown key" + (f"; allowed: {allowed}" if allowed else "")
        case "missing":
            return f"{where}missing"
        case "value_error":
            return where + str(detail.get("ctx", {}).get("error", detail["msg"])) + _given(detail)
        case _:
            return where + detail["msg"][:1].lower() + detail["msg"][1:] + _given(detail)


def _given(detail: ErrorDetails) -> str:
    given = detail["input"]
    # A whole mapping as the input says nothing that the place does not say already.
    return "" if isinstance(given, Mapping | BaseModel) else f" (given: {given!r})"


def _place(loc: tuple[int | str, ...]) -> list[str]:
    """pydantic's location without the names of union branches, which no file contains."""
    contracts = {contract.__name__ for contract in Contract.__subclasses__()}
    place: list[str] = []
    for part in map(str, loc):
        is_branch = "[" in part or part in contracts or (place[-1:] == ["release"] and part in RULE_KINDS)
        if not is_branch:
            place.append(part)
    return place


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_at(contract: type[BaseModel], place: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = contract
    annotation: Any = contract
    for part in place:
        if model is not None:
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            annotation = fields.get(part)
        else:
            annotation = (typing.get_args(annotation) or (None,))[-1]
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return next((m for arg in typing.get_args(annotation) if (m := _model_in(arg)) is not None), None)
    return None
