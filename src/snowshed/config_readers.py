"""How options are read that have a unit, a range or a set of words. Pure.

Plain numbers mean what people expect of them: MiB of memory, bytes of a disk, minutes of idling, seconds otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import UserError
from .model.machine import Accelerator, Arch, Network, arch_of_system
from .units import parse_duration, parse_memory, parse_size

WORDS: dict[str, tuple[str, ...]] = {
    "system": tuple(arch.nix_system for arch in Arch),
    "network": tuple(Network),
    "accel": tuple(Accelerator),
    "idle.action": ("auto", "suspend", "pause", "stop"),
    "watchdog.action": ("report", "restart"),
    "nix.protocol": ("ssh-ng", "ssh"),
}
"""The options that are one of a few words."""

SIZES = ("memory", "disk_size", "nix.min_free", "nix.max_free")
DURATIONS = ("stop_grace", "idle.timeout", "watchdog.timeout")


def _count(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise UserError(f"{value!r} is not a number of processor cores.", "Use a whole number from 1 on.")
    return number


def _jobs(value: Any) -> Any:
    """What is no number at all is left for the type's own check."""
    try:
        negative = int(value) < 0
    except (TypeError, ValueError):
        return value
    if negative:
        raise UserError(f"{value!r} is not a number of builds.", "Use a whole number; 0 is as many as it has cores.")
    return value


def _port(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 1 <= number <= 65535:
        raise UserError(f"{value!r} is not a TCP port.", "Use a number from 1 to 65535; the default is 31222.")
    return number


def _minutes(value: Any) -> float:
    return parse_duration(value, plain_unit=60.0)


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise UserError(f"{value!r} is not one of {', '.join(words)}.", "Choose one of these words.")
        return str(value)

    return check


def _systems(value: Any) -> Any:
    """Systems that a guest can emulate; what is no list at all is left for the type's own check."""
    known = [arch.nix_system for arch in Arch]
    for system in value if isinstance(value, list | tuple) else ():
        if system not in known:
            raise UserError(
                f"nothing in the guest can run programs of {system!r}.", f"Use {' or '.join(known)}: the other one."
            )
    return value


READERS: dict[str, Callable[[Any], Any]] = {
    **{option: _one_of(*words) for option, words in WORDS.items()},
    **dict.fromkeys(SIZES, parse_size),
    **dict.fromkeys(DURATIONS, parse_duration),
    "cores": _count,
    "port": _port,
    "metrics_port": lambda value: 0 if value in (0, "0") and value is not False else _port(value),
    "memory": parse_memory,
    "idle.timeout": _minutes,
    "nix.emulate": _systems,
    "nix.max_jobs": _jobs,
    "system": lambda text: arch_of_system(text).nix_system,
}
