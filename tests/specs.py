"""Machines to start in tests, and what a driver is given with them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from snowshed.drivers.base import Launch
from snowshed.model.machine import Arch, Disk, LinuxBoot, MachineSpec
from snowshed.units import MIB

KERNELS = {
    Arch.X86_64: bytes(0x202) + b"HdrS" + bytes(64),
    Arch.AARCH64: bytes(0x38) + b"ARM\x64" + bytes(64),
}
"""The least that the drivers take for a kernel."""
INITRD = b"070701" + bytes(64)


def linux_spec(folder: Path, **changes: Any) -> MachineSpec:
    """A machine whose files exist in `folder` and look like what they should be."""
    arch = changes.get("arch", Arch.X86_64)
    files = {"kernel": KERNELS[arch], "initrd": INITRD, "root.img": bytes(512), "disk.img": bytes(512)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    spec = MachineSpec(
        name="test",
        arch=arch,
        cores=1,
        memory=512 * MIB,
        boot=LinuxBoot(folder / "kernel", folder / "initrd", "quiet"),
        disks=(Disk(folder / "root.img", "root", read_only=True), Disk(folder / "disk.img", "data")),
        mac="52:54:00:12:34:56",
        machine_id="0123456789abcdef0123456789abcdef",
    )
    return msgspec.structs.replace(spec, **changes)


class Recorder:
    """A `Launch` that remembers what the driver told."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.console = b""
        self.notices: list[str] = []
        self.log = folder / "hypervisor.log"
        self._changed = asyncio.Event()
        self._lock = os.open(folder / "vm.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.launch = Launch(
            runtime=folder, vm_lock=self._lock, tasks=tasks, console=self._hear, log=self._log, notice=self._take
        )

    async def heard(self, text: bytes) -> None:
        """Return when the guest's console has said `text`."""
        while text not in self.console:
            self._changed.clear()
            await self._changed.wait()

    async def noticed(self, text: str) -> None:
        """Return when a notice holds `text`."""
        while not any(text in notice for notice in self.notices):
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        os.close(self._lock)
        os.close(self._log)

    def _hear(self, data: bytes) -> None:
        self.console += data
        self._changed.set()

    def _take(self, notice: str) -> None:
        self.notices.append(notice)
        self._changed.set()
