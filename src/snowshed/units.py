"""Sizes and durations as people write them. Pure.

A letter means its binary multiple: `G`, `GiB` and `g` are all 2**30 bytes. Decimal units (`GB`) are refused instead
of guessed at: half of all programs mean the one, half the other.
"""

from __future__ import annotations

import re

from .errors import UserError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"(\d{1,20})\s*(?:([kmgt])(?:ib)?)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(\d{1,20}(?:\.\d+)?)\s*(ms|s|min|m|h|d)?", re.IGNORECASE | re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_SIZE_HINT = "Write bytes, or a whole number with K, M, G or T (powers of 1024): 100G, 6GiB, 512M."


class UnitError(UserError, ValueError):
    """A size or duration that cannot be read."""


def parse_size(text: str | int) -> int:
    """The number of bytes that `text` names.

    Accepts plain bytes and whole numbers with a binary unit in either case: ``100G``, ``1t``, ``512M``, ``1024K``,
    ``6GiB``. Raises `UnitError`, which is also a `ValueError`, for anything else, zero and negative sizes included.
    """
    return _parse(text, plain_unit=1)


def parse_memory(text: str | int) -> int:
    """Like `parse_size`, but a plain number is MiB: that is how memory of virtual machines is written."""
    return _parse(text, plain_unit=MIB)


def _parse(text: str | int, *, plain_unit: int) -> int:
    match = _SIZE.fullmatch(str(text).strip())
    if match is None or isinstance(text, bool):
        raise UnitError(f"{text!r} is not a size.", _SIZE_HINT)
    number, unit = int(match[1]), (match[2] or "").lower()
    if number == 0:
        raise UnitError(f"{text!r} is not a size: it must be more than zero.", _SIZE_HINT)
    return number * (_UNITS[unit] if unit else plain_unit)


def format_size(size: int) -> str:
    """`size` bytes for people, with one decimal from a tenth of the unit on: ``1.4 GiB``, ``512 MiB``, ``0 B``."""
    value, unit = float(size), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            break
        value, unit = value / 1024, bigger
    return f"{value:.0f} {unit}" if value >= 100 or value == int(value) else f"{value:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """`number` things for people: ``1 lease``, ``2 leases``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_duration(text: str | float, *, plain_unit: float = 1.0) -> float:
    """The number of seconds that `text` names: ``90``, ``1.5s``, ``10min``, ``3h``, ``250ms``.

    A plain number counts in `plain_unit` seconds. Raises `UnitError` for anything else, negative ones included.
    """
    match = _DURATION.fullmatch(str(text).strip())
    if match is None or isinstance(text, bool):
        plain = "minutes" if plain_unit == 60 else "seconds"
        raise UnitError(
            f"{text!r} is not a duration.", f"Write {plain}, or a number with s, min, h or d: 90, 10min, 3h."
        )
    return float(match[1]) * (_SECONDS[match[2].lower()] if match[2] else plain_unit)


def format_duration(seconds: float) -> str:
    """`seconds` for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 1:
        return f"{minutes} min {rest} s"
    return f"{hours} h {minutes} min"
