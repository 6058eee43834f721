"""Raw disks for tests, which firmware would boot if their boot loader were one."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from snowshed.images import fat, gpt
from snowshed.model.machine import Arch
from snowshed.units import MIB

LOADERS = {Arch.X86_64: "BOOTX64.EFI", Arch.AARCH64: "BOOTAA64.EFI"}


def partition(number: int, first: int, last: int, kind: UUID = gpt.LINUX, name: str = "") -> gpt.Partition:
    return gpt.Partition(kind, UUID(int=number), first, last, name)


def efi_disk(file: Path, *archs: Arch, kind: UUID = gpt.ESP, loader: str = "", more: bytes = b"") -> Path:
    """A disk in `file`: for each of `archs` an EFI system partition with its boot loader, and a data partition that
    begins with `more`."""
    place, partitions = MIB, []
    with file.open("wb") as disk:
        for number, arch in enumerate(archs, start=1):
            size, pieces = fat.with_file(("EFI", "BOOT", loader or LOADERS[arch]), arch.encode())
            for offset, piece in pieces:
                disk.seek(place + offset)
                disk.write(piece)
            partitions.append(partition(number, place // 512, (place + size) // 512 - 1, kind))
            place += -(-size // MIB) * MIB
        partitions.append(partition(99, place // 512, (place + MIB) // 512 - 1, name="snowshed-data"))
        disk.seek(place)
        disk.write(more)
        end = place + 2 * MIB
        first, second = gpt.encode(gpt.new(UUID(int=7), partitions, end // 512), end // 512)
        disk.seek(0)
        disk.write(first)
        disk.seek(end - len(second))
        disk.write(second)
    return file
