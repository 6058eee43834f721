"""Hardware addresses in the spellings that macOS, Linux and people use. Pure."""

from __future__ import annotations

import re

_LONG_ZEROS = 12
_PLAIN = re.compile(r"[0-9a-f]{12}", re.ASCII)
_CISCO = re.compile(r"([0-9a-f]{4})\.([0-9a-f]{4})\.([0-9a-f]{4})", re.ASCII)
_OCTET = re.compile(rf"0{{0,{_LONG_ZEROS}}}[0-9a-f]{{1,2}}", re.ASCII)


def octets(text: str) -> tuple[int, ...] | None:
    """The bytes of a colon- or dash-separated address of any length, leading zeros or not; None for anything else."""
    parts = re.split("[:-]", text.strip().lower())
    if not all(_OCTET.fullmatch(part) for part in parts):
        return None
    return tuple(int(part, 16) for part in parts)


def mac_octets(text: str) -> tuple[int, ...] | None:
    """The six bytes of an Ethernet address: ``02:da:72:56:00:01``, ``2:da:72:56:0:1``, ``02-DA-72-56-00-01``,
    ``02da.7256.0001``, ``02da72560001``. None for what is not one.
    """
    text = text.strip().lower()
    if match := _CISCO.fullmatch(text):
        text = "".join(match.groups())
    if _PLAIN.fullmatch(text):
        return tuple(bytes.fromhex(text))
    found = octets(text)
    return found if found is not None and len(found) == 6 else None
