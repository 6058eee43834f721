"""Which guest a fake hypervisor runs: one that pretends, or a real one in QEMU (``FAKE_GUEST=qemu``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from .guests import Guest, PretendGuest


@dataclass(frozen=True)
class Hardware:
    """What a hypervisor was asked for. Disks are (path, serial, read-only); sizes are bytes."""

    cores: int
    memory: int
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    disks: list[tuple[str, str, bool]] = field(default_factory=list)
    mac: str = ""
    arch: str = ""


def guest_for(hardware: Hardware, console: Callable[[bytes], None], faults: frozenset[str]) -> Guest:
    """The guest that the environment asks for."""
    if os.environ.get("FAKE_GUEST") == "qemu":
        from .qemu_guest import QemuGuest

        return QemuGuest(hardware, console)
    return PretendGuest(console, faults)
