"""The state of a builder: asked of its supervisor, or read from its files where there is none.

Everything here stays clear of click, msgspec and the configuration: `status --json` answers at once. The keys are
those of `wire.Report`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import __version__
from ..control.client import Control
from ..errors import NotRunning
from ..images import freshness
from ..model import systems
from ..paths import DEFAULT_BUILDER, BuilderPaths, find_builder, state_root
from ..state import builders, held, unreachable

OK = 0
NOT_RUNNING = NotRunning.exit_status

ENDED = ("", "stopped", "suspended", "failed")
"""States in which a supervisor may leave its builder."""

TAIL = 64 << 10
"""Bytes at the end of the event log in which the last state is looked for."""

ASLEEP = ("paused", "suspended", "stopped", "failed")
"""States of a builder whose supervisor is there and whose guest a connection would wake."""


_QUICK = {"-b": "builder", "--builder": "builder", "--state-dir": "state"}


def quick_status(words: Sequence[str]) -> int | None:
    """Do ``status --json [-b NAME] [--state-dir DIR]`` and return its exit status; None for every other line."""
    given = {"builder": DEFAULT_BUILDER, "state": os.environ.get("SNOWSHED_STATE_DIR") or None}
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _QUICK:
            given[_QUICK[word]] = next(rest, "")
        else:
            plain.append(word)
    if sorted(plain) != ["--json", "status"] or "" in given.values():
        return None
    state = given["state"]
    return print_json(gather(find_builder(given["builder"] or "", Path(state).expanduser() if state else None)))


def print_json(report: dict[str, Any]) -> int:
    """Print `report` and return the exit status that goes with it."""
    print(json.dumps(report, indent=2))
    return exit_status(report)


def exit_status(report: dict[str, Any]) -> int:
    return OK if report["running"] else NOT_RUNNING


def gather(paths: BuilderPaths) -> dict[str, Any]:
    """The report of a builder. Raises what `Control` raises, but for a builder that is not running."""
    try:
        with Control(paths.control) as control:
            report = control.report()
            if control.version != __version__:  # which may leave out what we tell
                report = {**from_files(paths), **report}
    except NotRunning:
        report = from_files(paths)
    return _with_age(report, paths)


def _with_age(report: dict[str, Any], paths: BuilderPaths) -> dict[str, Any]:
    """`report`, with a notice where the builder's image is older than what Debian was known to have."""
    folder = "" if paths.is_system else last_image(paths)  # those of the system have images of their own account
    if folder and (notice := freshness.sentence(Path(folder), paths.name)):
        report["notices"] = [*report["notices"], notice]
    return report


def last_image(paths: BuilderPaths) -> str:
    """The directory of the image that the builder was last started from; empty where it boots a closure, or none."""
    try:
        return str(json.loads(paths.last_config.read_text())["image"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def from_files(paths: BuilderPaths) -> dict[str, Any]:
    """The report of a builder that has no supervisor."""
    config = _remembered(paths.last_config)
    asleep = os.access(paths.suspend_state, os.F_OK) and os.access(paths.suspend_manifest, os.F_OK)
    memory = config.get("memory")
    told = what_was_told(paths.guest_notes)
    wanted = _wanted(config)
    return {
        "name": paths.name,
        "running": False,
        "state": "suspended" if asleep else "stopped",
        "stateDirectory": str(paths.state),
        "system": config.get("system", ""),
        **dict.fromkeys(("pid", "supervisorPid")),
        "version": "",
        "port": config.get("port", 0),
        "driver": config.get("driver", ""),
        **dict.fromkeys(("driverReason", "accelerator", "acceleratorReason"), ""),
        "cores": config.get("cores", 0),
        "image": "",
        "network": config.get("network", ""),
        **dict.fromkeys(("startedAt", "readyAt")),
        "stages": [],
        **dict.fromkeys(("connections", "held"), 0),
        "leases": [],
        "systems": list(systems.had(wanted, told["lacks"])),
        "systemsKnown": systems.known(wanted, config.get("system", ""), told["emulates"], told["lacks"]),
        "emulators": {name: by for name, by in told["emulates"].items() if name in wanted[1:]},
        "features": [],
        "suspendBlocker": "",
        "idle": None,
        "disk": _disk(paths, told),
        "memory": memory and {"configured": memory, "resident": None, "guestFree": None},
        "failure": None,
        "shortages": [],
        "notices": [*_notices(paths), *systems.complaints(wanted[1:], told["lacks"])],
    }


def _wanted(config: dict[str, Any]) -> tuple[str, ...]:
    """What the builder was to build for at its last start."""
    nix = config.get("nix")
    emulate = nix.get("emulate", ()) if isinstance(nix, dict) else ()
    return systems.promised(config.get("system", ""), emulate, rosetta=bool(config.get("rosetta")))


def what_was_told(file: Path) -> dict[str, Any]:
    """What the guest told of itself when it last ran; nothing where the file is missing or damaged."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        found = None
    told = found if isinstance(found, dict) else {}
    return told | {name: told[name] if isinstance(told.get(name), dict) else {} for name in ("emulates", "lacks")}


def _disk(paths: BuilderPaths, told: dict[str, Any]) -> dict[str, Any] | None:
    try:
        facts = paths.disk.stat()
    except OSError:
        return None
    return {"virtual": facts.st_size, "allocated": facts.st_blocks * 512, **_disk_used(told)}


def _disk_used(told: dict[str, Any]) -> dict[str, Any]:
    used, at = told.get("diskUsed"), told.get("diskUsedAt")
    is_known = isinstance(used, int) and isinstance(at, int | float)
    return {"used": used if is_known else None, "usedAt": at if is_known else None}


def _notices(paths: BuilderPaths) -> list[str]:
    if not paths.state.exists():
        return [_never_started(paths)]
    if held(paths.supervisor_lock):
        error = unreachable(paths.name)
        return [f"{error.message} {error.hint}"]
    if held(paths.vm_lock):
        return ["A virtual machine is left over from a crash; `snowshed start` ends it before it starts another."]
    if (last := last_state(paths.events)) not in ENDED:
        return [f"It was cut off while it was {last}, by a crash or a power cut; `snowshed start` mends that."]
    return []


def _never_started(paths: BuilderPaths) -> str:
    """That there is no such builder, and which may be meant where nothing describes this one."""
    if paths.state.parent == state_root() and not paths.config.exists():
        from difflib import get_close_matches  # here: only a mistake needs it

        if near := get_close_matches(paths.name, builders(state_root()), 1):
            return f"It was never started. Did you mean {near[0]}?"
    return "It was never started."


def last_state(events: Path) -> str:
    """The state that the last supervisor wrote down last; empty where it wrote none."""
    try:
        with events.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            lines = stream.read().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        with suppress(ValueError, TypeError, AttributeError):
            if state := json.loads(line).get("state"):
                return str(state)
    return ""


def _remembered(file: Path) -> dict[str, Any]:
    """The configuration of the last start; empty where it is missing or damaged: nothing depends on it."""
    try:
        config = json.loads(file.read_text())["config"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return config if isinstance(config, dict) else {}


def note_version(version: str) -> None:
    """Say on standard error that a builder runs another version than this one."""
    if version and version != __version__:
        print(
            f"snowshed: the builder was started by snowshed {version}, this is {__version__}.\n"
            "  `snowshed restart` brings it up to date when nothing is being built.",
            file=sys.stderr,
        )
