"""The contract, as one macOS on one architecture sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "contracts" / "vz-contract.json"


def load(path: Path = FILE) -> dict[str, Any]:
    return json.loads(path.read_text())


def without(contract: dict[str, Any], owner: str, name: str) -> dict[str, Any]:
    """A copy of `contract` that lacks one thing: a method of a class, an enum's value, or a class."""
    copy = json.loads(json.dumps(contract))
    if name == "class":
        del copy["classes"][owner]
    elif owner in copy["classes"]:
        for kind in ("class_methods", "instance_methods"):
            copy["classes"][owner][kind] = [m for m in copy["classes"][owner][kind] if m["pyobjc"] != name]
    elif owner in copy["enums"]:
        del copy["enums"][owner]["values"][name]
    elif owner in copy["protocols"]:
        copy["protocols"][owner]["methods"] = [m for m in copy["protocols"][owner]["methods"] if m["pyobjc"] != name]
    elif owner == "libdispatch":
        del copy["support"]["libdispatch"][name]
    else:
        methods = copy["support"]["Foundation"][owner]
        copy["support"]["Foundation"][owner] = [m for m in methods if m["pyobjc"] != name]
    return copy


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True)
class View:
    """What of `contract` is there on macOS `version`, for arm64 or not."""

    contract: dict[str, Any]
    version: tuple[int, ...]
    arm64: bool

    def has(self, entry: dict[str, Any]) -> bool:
        return numbers(entry["since"]) <= self.version and (self.arm64 or not entry.get("arm64_only"))

    def classes(self) -> dict[str, dict[str, Any]]:
        return {name: entry for name, entry in self.contract["classes"].items() if self.has(entry)}

    def methods(self, name: str, kind: str) -> dict[str, dict[str, Any]]:
        """The methods of one class that are there, by their Python name."""
        return {m["pyobjc"]: m for m in self.contract["classes"][name][kind] if self.has(m)}

    def constants(self) -> dict[str, tuple[str, Any]]:
        """Every enum value and constant that is there: name -> (owner, value)."""
        found: dict[str, tuple[str, Any]] = {}
        for owner, enum in self.contract["enums"].items():
            for name, value in enum["values"].items():
                if numbers(enum["value_since"][name]) <= self.version:
                    found[name] = (owner, value)
        return found

    def protocol(self, name: str) -> dict[str, dict[str, Any]]:
        return {m["pyobjc"]: m for m in self.contract["protocols"][name]["methods"] if self.has(m)}
