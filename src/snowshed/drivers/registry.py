"""The drivers by name. Each is imported when it is asked for: the macOS ones need what Linux does not have."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import cast

from ..errors import UserError
from .base import Driver

DRIVERS = {
    "qemu": "snowshed.drivers.qemu.driver:QemuDriver",
}


def choose(wanted: str) -> tuple[str, str]:
    """The name of the driver for `wanted` (a name or ``auto``), and why it is that one."""
    if wanted != "auto":
        return wanted, "configured"
    return "qemu", f"the only driver for {sys.platform}"


def load(name: str) -> Driver:
    """The driver called `name`. Raises `UserError` for an unknown one."""
    target = DRIVERS.get(name)
    if target is None:
        raise UserError(f"There is no driver called {name!r}.", f"Use auto or one of: {', '.join(sorted(DRIVERS))}.")
    module, _, attribute = target.partition(":")
    return cast(Driver, getattr(import_module(module), attribute)())
