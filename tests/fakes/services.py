"""A service for tests."""

from __future__ import annotations

from pathlib import Path

from snowshed.service.description import Description
from snowshed.units import GIB

DESCRIPTION = Description(
    builder="default",
    program=("/opt/snowshed/bin/snowshed", "run", "-b", "default", "--on-demand"),
    state=Path("/var/lib/snowshed/default"),
    config=Path("/etc/snowshed/default.toml"),
    port=31222,
    memory=2 * GIB,
    user="snowshed",
    groups=("kvm",),
)
