"""Recordings of Macs for the doctor: one that is healthy, and what differs on one that has a known illness."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from snowshed.doctor.look import Record, Recorded

HEALTHY = Path(__file__).parents[1] / "unit" / "doctor" / "macs" / "healthy.toml"


def record(**illness: dict[str, Any]) -> Record:
    """The healthy Mac, with what `illness` says about `ran`, `read`, `files`, `facts` and `case` in place of its own.

    A None for a file or a text says that there is none.
    """
    data = tomllib.loads(HEALTHY.read_text())
    for part, changes in illness.items():
        for name, change in changes.items():
            known = data[part].get(name)
            both = isinstance(change, dict) and isinstance(known, dict)
            data[part][name] = {**known, **change} if both else change
    data["ran"] = {
        argv: [about.get("status", 0), about.get("out", ""), about.get("err", "")]
        for argv, about in data["ran"].items()
    }
    data["facts"]["vz interpreter"] = data["facts"]["vz interpreter"]["path"]
    total, available = data["facts"]["memory"]
    data["facts"]["memory"] = [total, available or None]
    data["files"] |= dict.fromkeys(name for name in data.pop("absent") if name not in data["files"])
    return msgspec.convert(data, Record)


def mac(**illness: dict[str, Any]) -> Recorded:
    """A look at such a Mac."""
    return Recorded(record(**illness))
