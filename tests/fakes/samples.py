"""What a supervisor sends of a builder to those who watch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snowshed.cli.report import from_files
from snowshed.paths import BuilderPaths
from snowshed.units import GIB, MIB


def sample(at: float, processor: float | None, **more: Any) -> dict[str, Any]:
    """What a supervisor sends of a builder called arm."""
    report = {
        **from_files(BuilderPaths("arm", Path("/state/arm"))),
        "running": True,
        "state": "running",
        "system": "aarch64-linux",
        "cores": 4,
        "driver": "qemu",
        "accelerator": "tcg",
        "port": 31222,
        "connections": 2,
        "startedAt": 900.0,
        "notices": [],
        "memory": {"configured": 8 * GIB, "resident": 700 * MIB, "guestFree": 6 * GIB},
        "disk": {"virtual": 100 * GIB, "allocated": 3 * GIB, "used": 2 * GIB},
        "idle": {"timeout": 600.0, "action": "suspend", "wanted": "auto", "reason": "", "remaining": 60.0},
        **more.pop("report", {}),
    }
    return {
        "kind": "sample", "at": at, "report": report, "processor": processor,
        "toGuest": 0, "fromGuest": 0, "served": 2, "builds": None, **more,
    }  # fmt: skip


def build(name: str, seconds: float, processor: float) -> dict[str, Any]:
    return {"name": name, "seconds": seconds, "processor": processor, "memory": 100 * MIB, "processes": 3}
