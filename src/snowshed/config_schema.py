"""The JSON Schema of a configuration file, and the list of all options, both from the types. Pure.

What a person may write is wider than what the program gets: sizes and durations are numbers or text with a unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from .config_readers import DURATIONS, SIZES, WORDS
from .settings import TABLES, BuilderConfig


class Option(NamedTuple):
    """An option of a configuration file. `default` is as a file would have it, empty where there is none."""

    table: str
    name: str
    kind: str
    default: Any
    description: str

    @property
    def full(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name


def options() -> Iterator[Option]:
    """Every option, the tables one after the other."""
    for table, type_ in TABLES.items():
        hints = get_type_hints(type_, include_extras=True)
        for field in msgspec.structs.fields(type_):
            if field.name in TABLES or f"{field.name}.*" in TABLES:
                continue
            description, base = _described(hints[field.name])
            full = f"{table}.{field.name}" if table else field.name
            default = None if field.required else field.default
            yield Option(table, field.name, _kind(full, base), default, description)


def schema() -> dict[str, Any]:
    """The JSON Schema of a builder's file."""
    found: dict[str, Any] = msgspec.json.schema(BuilderConfig)
    for option in (*SIZES, *DURATIONS):
        _property(found, option).update(type=["number", "string"])
        _property(found, option).pop("default", None)
    for option, words in WORDS.items():
        place = _property(found, option)
        place.pop("$ref", None)
        place.pop("allOf", None)
        place.update(enum=list(words))
        if place.get("default") not in words:
            place.pop("default", None)
    return found


def _property(found: dict[str, Any], option: str) -> dict[str, Any]:
    table, _, name = option.rpartition(".")
    properties: dict[str, Any] = found["$defs"][TABLES[table].__name__]["properties"]
    place: dict[str, Any] = properties[name]
    return place


def _described(hint: Any) -> tuple[str, Any]:
    if get_origin(hint) is Annotated:
        base, meta = get_args(hint)[:2]
        return meta.description or "", base
    return "", hint


def _kind(option: str, base: Any) -> str:
    """What a value looks like, for people."""
    if option in WORDS:
        return ", ".join(WORDS[option])
    if option in SIZES:
        return "size"
    if option in DURATIONS:
        return "duration"
    simple = {bool: "true or false", int: "number", float: "number", str: "text"}
    return simple.get(base, "list of texts")
