"""What a file is that somebody gives us for a disk image, and whether firmware can boot it.

Told by magic numbers: qcow2 (QEMU, docs/interop/qcow2.rst), VMDK, VDI, VHD and VHDX (each from its specification), ISO
9660 (ECMA-119, 6.2.1), and what files are compressed with. A disk is one that has an EFI system partition, by GPT or
by MBR, whose file system holds the boot loader that firmware looks for.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..errors import UserError
from ..model.machine import Arch
from ..units import format_size
from . import fat, gpt
from .efi import LOADERS

HEAD = 0x8006
"""Bytes that tell every format apart: an ISO's are the last."""

_CONVERT = "Convert it: `qemu-img convert -O raw {} disk.img`, and import that."
_DISKS = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0, b"WithoutFreeSpace", "Parallels' hdd"),
    (0, b"WithouFreSpacExt", "Parallels' hdd"),
)
_PACKED = (
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\xfd7zXZ\x00", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
)
_MBR_ESP = 0xEF
_LARGER = 4096
"""Bytes of the sectors that some disks have, and those of virtual machines have not."""

Place = tuple[int, int]
"""Of a partition: its first byte and its size."""


class Facts(msgspec.Struct, frozen=True):
    """A disk that firmware boots: on what, and its size in bytes."""

    archs: tuple[Arch, ...]
    size: int


def inspect(file: Path) -> Facts:
    """What the raw disk image `file` is. Raises `UserError` for everything that is none, by name."""
    try:
        if not file.is_file():
            raise UserError(f"{file} is not a file.", "Give the path of a raw disk image.")
        with file.open("rb") as disk:
            return _inspect(file, disk, os.fstat(disk.fileno()).st_size)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", "Check the path.") from error


def _inspect(file: Path, disk: BinaryIO, size: int) -> Facts:
    if not size:
        raise UserError(f"{file} is empty.", "Was it downloaded or built to its end?")
    head = disk.read(HEAD)
    _refuse_other_formats(file, head)
    end, partitions = _esps(file, disk, head, size)
    if end > size:
        raise UserError(
            f"{file} is cut off: its partitions end at {format_size(end)}, and it has {format_size(size)}.",
            "Download or build it again.",
        )
    archs = {arch for place in partitions for arch in _bootable(disk, place)}
    if not archs:
        loaders = " nor ".join(f"EFI/BOOT/{name}" for name in LOADERS.values())
        raise UserError(
            f"The EFI system partition of {file} holds no boot loader: neither {loaders}.",
            "Firmware looks for these alone on a disk that it does not know; put the boot loader there.",
        )
    return Facts(tuple(arch for arch in Arch if arch in archs), size)


def other_format(head: bytes) -> str:
    """What kind of a disk image begins with `head` (`HEAD` bytes of it), if not a raw one; else empty."""
    return next((name for place, magic, name in _DISKS if head[place : place + len(magic)] == magic), "")


def _refuse_other_formats(file: Path, head: bytes) -> None:
    name = other_format(head)
    if name:
        raise UserError(f"{file} is not a raw disk image: it is {name}.", _CONVERT.format(file))
    for magic, name, program in _PACKED:
        if head.startswith(magic):
            raise UserError(f"{file} is compressed ({name}).", f"Unpack it first: `{program} {file}`.")
    if head[0x8001:0x8006] == b"CD001":
        raise UserError(
            f"{file} is not a disk but an ISO image: a CD, most likely of an installer.",
            "Install from it into a raw disk image, or get the image of an installed system.",
        )


def _esps(file: Path, disk: BinaryIO, head: bytes, size: int) -> tuple[int, list[Place]]:
    """Where the last partition ends, and the EFI system partitions. Raises `UserError`."""
    if head[_LARGER : _LARGER + 8] == gpt.MAGIC and head[gpt.SECTOR : gpt.SECTOR + 8] != gpt.MAGIC:
        raise UserError(
            f"{file} was made for a disk with sectors of {_LARGER} bytes.", "Make it for sectors of 512 bytes."
        )
    found = [(first, length, esp) for first, length, esp in _partitions(file, disk, head) if length > 0]
    if not found:
        raise UserError(
            f"{file} is not a disk: it has no partitions.",
            "Give the raw image of a whole disk, with an EFI system partition.",
        )
    esps = [(first, length) for first, length, esp in found if esp]
    if not esps:
        raise UserError(
            f"{file} has no EFI system partition, so that firmware cannot boot it.",
            "An image that boots by BIOS alone does not do; make one that boots by UEFI.",
        )
    return max(first + length for first, length, _ in found), esps


def _partitions(file: Path, disk: BinaryIO, head: bytes) -> Iterator[tuple[int, int, bool]]:
    """Each partition's first byte and size, and whether it is the firmware's."""
    if head[gpt.SECTOR : gpt.SECTOR + 8] == gpt.MAGIC:
        try:
            table = gpt.read(disk)
        except gpt.GptError as error:
            raise UserError(f"{file} cannot be used: {error}.", "Download or build it again.") from error
        for partition in table.partitions:
            sectors = partition.last - partition.first + 1
            yield partition.first * gpt.SECTOR, sectors * gpt.SECTOR, partition.kind == gpt.ESP
    elif head[510:512] == b"\x55\xaa" and b"FAT" not in (head[54:57], head[82:85]):
        entries = [struct.unpack_from("<B3xB3xII", head, 446 + 16 * number) for number in range(4)]
        if all(active in (0, 0x80) for active, *_ in entries):  # else these are the bytes of a program
            yield from ((first * gpt.SECTOR, n * gpt.SECTOR, kind == _MBR_ESP) for _, kind, first, n in entries if kind)


def _bootable(disk: BinaryIO, place: Place) -> Iterator[Arch]:
    """The architectures whose boot loader lies in the file system there."""
    start, length = place

    def read(offset: int, size: int) -> bytes:
        disk.seek(start + offset)
        return disk.read(max(0, min(size, length - offset)))

    try:
        system = fat.Fat(read)
    except fat.FatError:
        return
    for arch, loader in LOADERS.items():
        if system.holds("EFI", "BOOT", loader):
            yield arch
