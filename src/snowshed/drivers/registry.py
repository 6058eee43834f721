"""The drivers by name, and the choice among them.

Each driver is imported when it is asked for: the macOS ones need what Linux does not have.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from ..errors import UserError
from ..model.machine import Arch
from .base import Driver

DRIVERS = {
    "qemu": "snowshed.drivers.qemu.driver:QemuDriver",
    "vz": "snowshed.drivers.vz.driver:VzDriver",
    "vfkit": "snowshed.drivers.vfkit.driver:VfkitDriver",
    "krunkit": "snowshed.drivers.krunkit.driver:KrunkitDriver",
}

VZ_FROM = (13, 0)
"""The first macOS with all that a builder needs of Virtualization.framework: EFI, Rosetta, machine identifiers."""


@dataclass(frozen=True)
class Surroundings:
    """What the choice depends on. `macos` is its version, () anywhere else; `installed` names what was found of
    ``pyobjc`` and ``vfkit``.
    """

    platform: str = sys.platform
    macos: tuple[int, ...] = ()
    arch: Arch | None = None
    installed: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def here(cls) -> Surroundings:
        """This host."""
        if sys.platform != "darwin":
            return cls()
        from .mac import BREW, this_mac

        mac = this_mac()
        found = {"pyobjc"} if find_spec("Virtualization") else set()
        if any(shutil.which("vfkit", path=path) for path in (None, *BREW)):
            found.add("vfkit")
        return cls("darwin", mac.version, mac.arch, frozenset(found))


def choose(wanted: str, guest: Arch | None = None, host: Surroundings | None = None) -> tuple[str, str]:
    """The name of the driver for `wanted` (a name or ``auto``), and why it is that one, in a sentence.

    `guest` is the architecture of the guest, None where it is the host's. Where there is no choice there is no reason.
    """
    if wanted != "auto":
        return wanted, ""
    host = host or Surroundings.here()
    if host.platform != "darwin":
        return "qemu", ""
    if guest is not None and guest is not host.arch:
        return "qemu", f"qemu, because nothing else runs {guest} guests on this Mac"
    version = ".".join(map(str, host.macos))
    if host.macos < VZ_FROM:
        return "qemu", f"qemu, because vz and vfkit need macOS 13 and this is {version}"
    if "pyobjc" in host.installed:
        return "vz", f"vz, because macOS {version} has Virtualization.framework"
    if "vfkit" in host.installed:
        return "vfkit", "vfkit, because PyObjC, which vz needs, is not installed (pip install 'snowshed[macos]')"
    return (
        "qemu",
        "qemu, because neither PyObjC, which vz needs (pip install 'snowshed[macos]'), nor vfkit is installed",
    )


def load(name: str) -> Driver:
    """The driver called `name`. Raises `UserError` for an unknown one."""
    target = DRIVERS.get(name)
    if target is None:
        raise UserError(f"There is no driver called {name!r}.", f"Use auto or one of: {', '.join(sorted(DRIVERS))}.")
    module, _, attribute = target.partition(":")
    return cast(Driver, getattr(import_module(module), attribute)())
