"""A builder's configuration file: which one it is, what stands in it, and on which line.

Each builder has a file of its own, ``NAME.toml`` (or ``NAME.json``, as the Nix modules write it), or a table ``[NAME]``
in ``all_builders.toml`` beside it: one file for all, if somebody likes that better.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import given
from .errors import UserError

TOGETHER = "all_builders.toml"
"""No builder can be called that: the underscore."""

_NESTED = ("idle", "watchdog", "nix")
_KEY = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER = re.compile(rf"^\s*\[\[?\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]\]?\s*(?:#.*)?$")
_SETTING = re.compile(rf"^\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")
_WORD = re.compile(_KEY)


def options_of(file: Path) -> dict[str, tuple[Any, str]]:
    """The options of the builder whose own file would be `file`, by dotted name, each with where it stands.

    Empty where it has none. Raises `UserError` for a file that cannot be read, and for a builder that stands in two.
    """
    together = file.with_name(TOGETHER)
    own = read_file(file) if file.exists() else None
    table = _table(together, file.stem) if file.suffix == ".toml" and together.exists() else None
    if own is not None and table is not None:
        raise UserError(
            f"The builder {file.stem} is described in two files: {file} and {together}.", "Remove one of the two."
        )
    if own is not None:
        return _located(own, file, "")
    return {} if table is None else _located(table, together, f"{file.stem}.")


def builders_in(folder: Path) -> list[str]:
    """The names of the builders that are described in `folder`, sorted. A file that cannot be read describes none."""
    names = {file.stem for file in folder.glob("*.toml") if file.name != TOGETHER}
    try:
        together = read_file(folder / TOGETHER) if (folder / TOGETHER).exists() else {}
    except UserError:
        together = {}
    return sorted(names | {name for name, table in together.items() if isinstance(table, dict)})


def read_file(file: Path) -> dict[str, Any]:
    """The tables and options in a TOML or JSON file. Raises `UserError`, which names the line."""
    try:
        text = given.read(file).decode()
        data = msgspec.json.decode(text) if file.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise UserError(
            f"{file} cannot be read: {error}.", "Mend the file; `snowshed config check` tries it again."
        ) from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", "Check the file and its permissions.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} cannot be read: it is not UTF-8.", "Save it as UTF-8.") from error
    if not isinstance(data, dict):
        raise UserError(f"{file} does not hold a table of options.", "Write options as `name = value` lines.")
    return data


def _table(together: Path, name: str) -> dict[str, Any] | None:
    table = read_file(together).get(name)
    if table is not None and not isinstance(table, dict):
        raise UserError(f"{name} in {together} is no table.", f"Write [{name}], and its options below.")
    return table


def _located(data: Mapping[str, Any], file: Path, prefix: str) -> dict[str, tuple[Any, str]]:
    numbers = lines(file.read_text()) if file.suffix == ".toml" else {}
    return {option: (value, _where(file, numbers.get(prefix + option))) for option, value in _flat(data)}


def _where(file: Path, line: int | None) -> str:
    return f"in {file}" if line is None else f"in {file}, line {line}"


def _flat(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if name in _NESTED and isinstance(value, dict):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def lines(text: str) -> dict[str, int]:
    """On which line of a TOML text each table and each option begins, by dotted name. Read for people's eyes only: a
    text of several lines that looks like an option is taken for one."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEADER.match(line):
            table = _dotted(match[1])
            found.setdefault(table, number)
        elif match := _SETTING.match(line):
            name = _dotted(match[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _dotted(key: str) -> str:
    return ".".join(word.strip("\"'") for word in _WORD.findall(key))
