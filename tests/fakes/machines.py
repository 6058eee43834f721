"""Specs and hosts for the tests of the macOS drivers, and what a driver is launched with."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from snowshed.drivers.base import Launch
from snowshed.drivers.mac import Mac
from snowshed.model.machine import Arch, Disk, EfiBoot, LinuxBoot, MachineSpec
from snowshed.units import MIB

MAC_ADDRESS = "02:da:72:56:00:01"
M3 = Mac(version=(15, 1), arch=Arch.AARCH64, chip=3, build="24B83", rosetta=True)
M1 = Mac(version=(14, 5), arch=Arch.AARCH64, chip=1, build="23F79", rosetta=True)
INTEL = Mac(version=(13, 6), arch=Arch.X86_64, build="22G120")
KERNELS = {Arch.AARCH64: b"\0" * 0x38 + b"ARMd" + b"\0" * 0x400, Arch.X86_64: b"\0" * 0x202 + b"HdrS" + b"\0" * 0x400}


def spec(folder: Path, arch: Arch = Arch.AARCH64, **changes: object) -> MachineSpec:
    """A machine whose files exist in `folder`: kernel, initrd, and the three disks of a builder."""
    for name in ("root.img", "disk.img", "seed.img"):
        (folder / name).write_bytes(b"\0" * 4096)
    (folder / "kernel").write_bytes(KERNELS[arch])
    (folder / "initrd").write_bytes(b"\0" * 512)
    machine = MachineSpec(
        name="default",
        arch=arch,
        cores=2,
        memory=512 * MIB,
        boot=LinuxBoot(folder / "kernel", folder / "initrd", "quiet init=/init"),
        disks=(
            Disk(folder / "root.img", "root", read_only=True),
            Disk(folder / "disk.img", "data"),
            Disk(folder / "seed.img", "seed", read_only=True),
        ),
        mac=MAC_ADDRESS,
        machine_id="0b7e9a52-9b39-4d0e-8b64-4e2c3f7fcf4e",
    )
    return msgspec.structs.replace(machine, **changes)


def efi_spec(folder: Path, **changes: object) -> MachineSpec:
    """The same with an EFI image: one disk that boots, and the seed."""
    machine = spec(folder)
    return msgspec.structs.replace(
        machine, **{"boot": EfiBoot(folder / "variables.fd"), "disks": machine.disks[1:], **changes}
    )


@dataclass
class Launched:
    """What a driver was given, and what came back through it."""

    launch: Launch
    state: Path
    said: bytearray = field(default_factory=bytearray)
    notices: list[str] = field(default_factory=list)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)

    async def hears(self, text: bytes, patience: float = 20.0) -> None:
        """Return when the console has said `text`."""
        async with asyncio.timeout(patience):
            while text not in self.said:
                self.spoke.clear()
                await self.spoke.wait()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets, whatever the tests' own is called."""
    with tempfile.TemporaryDirectory(prefix="snow-", dir="/tmp") as folder:
        yield Path(folder)


@asynccontextmanager
async def launched() -> AsyncIterator[Launched]:
    """A `Launch` with a state directory, a lock file and a task group of its own."""
    with short_folder() as folder:
        lock = os.open(folder / "vm.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            async with asyncio.TaskGroup() as tasks:
                yield _launched(folder, lock, tasks)
        finally:
            os.close(lock)


def _launched(folder: Path, lock: int, tasks: asyncio.TaskGroup) -> Launched:
    found: Launched

    def console(data: bytes) -> None:
        found.said += data
        found.spoke.set()

    launch = Launch(
        runtime=folder,
        vm_lock=lock,
        tasks=tasks,
        console=console,
        log=sys.stderr.fileno() if sys.stderr.isatty() else _null(),
        state=folder,
        notice=lambda sentence: found.notices.append(sentence),
    )
    found = Launched(launch, folder)
    return found


def _null() -> int:
    global _NULL
    if _NULL < 0:
        _NULL = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return _NULL


_NULL = -1


async def first_line(connection: socket.socket, patience: float = 20.0) -> bytes:
    """What the other end says up to its first line end, or before it closes."""
    loop = asyncio.get_running_loop()
    said = b""
    async with asyncio.timeout(patience):
        while not said.endswith(b"\n"):
            more = await loop.sock_recv(connection, 1)
            if not more:
                break
            said += more
    return said
