"""UEFI firmware, found by the descriptions that it is installed with.

Their format is QEMU's ``docs/interop/firmware.json``: one JSON file for each firmware, ordered by file name, those in
``/etc`` replacing those of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ... import durable
from ...model.machine import Arch
from .argv import Firmware

_MACHINES = {Arch.X86_64: "pc-q35-", Arch.AARCH64: "virt-"}
_UNWANTED = frozenset({"requires-smm", "enrolled-keys", "secure-boot"})


def find_firmware(arch: Arch, program: str) -> Firmware | None:
    """Firmware that boots anything on a machine of `arch` and keeps its variables; None where there is none."""
    beside = Path(program).resolve().parents[1] / "share/qemu/firmware"
    return choose(arch, read(beside, Path("/usr/share/qemu/firmware"), Path("/etc/qemu/firmware")))


def read(*folders: Path) -> list[dict[str, Any]]:
    """The descriptions in `folders`, in the order that they are to be tried in; later folders win."""
    files = {file.name: file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.json"))}
    found: list[dict[str, Any]] = []
    for name in sorted(files):
        with suppress(OSError, ValueError):
            found.append(json.loads(files[name].read_text()))
    return found


def choose(arch: Arch, descriptions: Iterable[dict[str, Any]]) -> Firmware | None:
    """The first of `descriptions` that fits and whose files are there."""
    for description in descriptions:
        mapping = description.get("mapping", {})
        if not _fits(arch, description) or mapping.get("device") != "flash":
            continue
        parts = mapping.get("executable", {}), mapping.get("nvram-template", {})
        if any(part.get("format") != "raw" for part in parts):
            continue
        code, template = (Path(part["filename"]) for part in parts)
        if code.is_file() and template.is_file():
            return Firmware(code, template)
    return None


def make_variables(file: Path, firmware: Firmware) -> None:
    """Give a builder variables of its own, as the firmware wants them at first, unless it has them already."""
    if file.exists():
        return
    durable.write(file, firmware.template.read_bytes())


def _fits(arch: Arch, description: dict[str, Any]) -> bool:
    if "uefi" not in description.get("interface-types", []) or _UNWANTED & set(description.get("features", [])):
        return False
    return any(
        target.get("architecture") == arch
        and any(fnmatch(_MACHINES[arch], machine) for machine in target.get("machines", []))
        for target in description.get("targets", [])
    )
