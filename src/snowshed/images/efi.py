"""The Debian guest as a raw disk that UEFI firmware boots: what hypervisors take that start no kernel themselves.

Three partitions: the firmware's own with one unified kernel, the read-only root, and one for data, which is last so
that it can grow with the builder's copy of the disk. Equal inputs give equal disks.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID

from .. import process
from ..errors import GuestError
from ..guest.contract import contract
from ..model.machine import Arch
from ..units import MIB
from . import fat, gpt, uki

STUB = "systemd-boot-efi"
"""The package of systemd's EFI stub."""

LOADERS = {Arch.X86_64: "BOOTX64.EFI", Arch.AARCH64: "BOOTAA64.EFI"}
"""What firmware starts from a disk that it knows nothing about (UEFI specification 2.10, 3.5.1.1)."""

CONSOLES = "console=ttyAMA0 console=ttyS0 console=hvc0"
"""No driver adds a console here. The last one that exists is where the stages are announced."""

DATA_SIZE = 2 * MIB
"""Of the data partition before it grows: what is looked at to tell that it is blank, and no more."""

_STUB_NAMES = {Arch.X86_64: "linuxx64.efi.stub", Arch.AARCH64: "linuxaa64.efi.stub"}
_IDS = UUID("736e6f77-7368-4564-8000-000000000010")


def read_stub(package: Path, arch: Arch, scratch: Path) -> bytes:
    """The stub in the file of its package, which is unpacked in the new folder `scratch`. Raises `GuestError`."""
    process.run([process.find("dpkg-deb", "Install it: `apt-get install dpkg`."), "--extract", package, scratch])
    stub = scratch / "usr/lib/systemd/boot/efi" / _STUB_NAMES[arch]
    if not stub.is_file():
        raise GuestError(f"The package {STUB} holds no {stub.name}.", "Use another --suite; trixie is known to fit.")
    return stub.read_bytes()


def loader(stub: bytes, folder: Path, cmdline: str, release: str) -> bytes:
    """The program that firmware starts, from the kernel and the initrd in `folder`."""
    from .manifest import INITRD, KERNEL

    kernel, initrd = (folder / KERNEL).read_bytes(), (folder / INITRD).read_bytes()
    return uki.unified(stub, kernel, initrd, f"{cmdline} {CONSOLES}", release)


def assemble(disk: Path, arch: Arch, program: bytes, root: Path) -> None:
    """Make the raw disk image `disk` with `program` for the firmware and the file system `root`."""
    esp_size, pieces = fat.with_file(("EFI", "BOOT", LOADERS[arch]), program, hidden=MIB // gpt.SECTOR)
    partitions, place = [], MIB
    data = contract().labels.data
    wanted = ((gpt.ESP, "esp", esp_size), (gpt.LINUX, contract().labels.root, root.stat().st_size))
    for number, (kind, name, size) in enumerate((*wanted, (gpt.LINUX, data, DATA_SIZE)), start=1):
        size = -(-size // MIB) * MIB
        sectors = range(place // gpt.SECTOR, (place + size) // gpt.SECTOR)
        partitions.append(gpt.Partition(kind, _id(number), sectors[0], sectors[-1], name))
        place += size
    total = place + MIB
    first, second = gpt.encode(gpt.new(_id(0), partitions, total // gpt.SECTOR), total // gpt.SECTOR)
    with disk.open("wb") as out:
        out.truncate(total)
        out.write(first)
        for offset, piece in pieces:
            out.seek(MIB + offset)
            out.write(piece)
        out.seek(partitions[1].first * gpt.SECTOR)
        with root.open("rb") as content:
            shutil.copyfileobj(content, out, MIB)
        out.seek(total - len(second))
        out.write(second)


def _id(number: int) -> UUID:
    return UUID(int=_IDS.int + number)
