"""Partition tables of EFI disks (GPT): read, written, and grown with their disk.

Format: UEFI specification 2.10, chapter 5 ("GUID Partition Table Disk Layout"). Sectors are 512 bytes here: disks of
virtual machines have no others. Both copies of a table are kept right, and written in an order that leaves one of
them whole whenever the power goes.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

SECTOR = 512
ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

MAGIC = b"EFI PART"
ENTRIES = 128
ENTRY = struct.Struct("<16s16sQQQ72s")
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
RESERVED = 33
"""Sectors at the end of a disk that hold the second copy: the entries, and after them its header."""

_REVISION = 0x10000


class GptError(ValueError):
    """There is no table, or it cannot be used: a phrase that says which."""


class Partition(msgspec.Struct, frozen=True):
    """A partition: its type, its own id, its first and its last sector, and its name (at most 36 characters)."""

    kind: UUID
    id: UUID
    first: int
    last: int
    name: str = ""
    attributes: int = 0

    def encode(self) -> bytes:
        name = self.name.encode("utf-16-le")
        return ENTRY.pack(self.kind.bytes_le, self.id.bytes_le, self.first, self.last, self.attributes, name)


class Table(msgspec.Struct, frozen=True):
    """A whole table: `slots` are its entries in their order, None for an unused one; `backup` is the sector where the
    other copy's header lies."""

    id: UUID
    slots: tuple[Partition | None, ...]
    backup: int
    last_usable: int

    @property
    def partitions(self) -> tuple[Partition, ...]:
        return tuple(slot for slot in self.slots if slot is not None)


def new(disk: UUID, partitions: Sequence[Partition], sectors: int) -> Table:
    """The table of a disk of so many sectors."""
    return Table(disk, tuple(partitions), sectors - 1, sectors - RESERVED - 1)


def read(disk: BinaryIO) -> Table:
    """The first copy of the table on `disk`. Raises `GptError`."""
    disk.seek(0)
    start = disk.read(2 * SECTOR)
    if len(start) < 2 * SECTOR or start[SECTOR : SECTOR + 8] != MAGIC:
        raise GptError("it has no GPT")
    fields = HEADER.unpack_from(start, SECTOR)
    _, _, length, checksum, _, _, backup, _, last_usable, guid, place, count, size, entries_checksum = fields
    header = bytearray(start[SECTOR : SECTOR + length])
    header[16:20] = bytes(4)
    if not HEADER.size <= length <= SECTOR or zlib.crc32(header) != checksum:
        raise GptError("its GPT is damaged")
    if size != ENTRY.size or count > 1024:
        raise GptError("its GPT is of an unknown kind")
    disk.seek(place * SECTOR)
    entries = disk.read(count * size)
    if len(entries) < count * size or zlib.crc32(entries) != entries_checksum:
        raise GptError("its GPT is damaged")
    slots = tuple(_partition(entries[n * size : (n + 1) * size]) for n in range(count))
    return Table(UUID(bytes_le=guid), slots, backup, last_usable)


def _partition(entry: bytes) -> Partition | None:
    kind, own, first, last, attributes, name = ENTRY.unpack(entry)
    if not any(kind):
        return None
    text = name.decode("utf-16-le", "replace").split("\0", 1)[0]
    return Partition(UUID(bytes_le=kind), UUID(bytes_le=own), first, last, text, attributes)


def encode(table: Table, sectors: int) -> tuple[bytes, bytes]:
    """Both copies of `table` on a disk of so many sectors: its first 34, protective MBR included, and its last 33."""
    entries = b"".join(slot.encode() if slot else bytes(ENTRY.size) for slot in table.slots)
    entries = entries.ljust(ENTRIES * ENTRY.size, b"\0")
    end = sectors - 1
    first = _header(table, entries, here=1, other=end, place=2, sectors=sectors)
    second = _header(table, entries, here=end, other=1, place=end - RESERVED + 1, sectors=sectors)
    return _protective_mbr(sectors) + first + entries, entries + second


def _header(table: Table, entries: bytes, *, here: int, other: int, place: int, sectors: int) -> bytes:
    first_usable, last_usable = 2 + RESERVED - 1, sectors - RESERVED - 1
    common = (here, other, first_usable, last_usable, table.id.bytes_le, place, ENTRIES, ENTRY.size)
    checksum = 0
    for _ in range(2):  # the checksum is that of the header with a checksum of zero
        fields = (MAGIC, _REVISION, HEADER.size, checksum, 0, *common, zlib.crc32(entries))
        header = HEADER.pack(*fields)
        checksum = zlib.crc32(header)
    return header.ljust(SECTOR, b"\0")


def _protective_mbr(sectors: int) -> bytes:
    """One partition of type EE over everything, for whoever does not know GPT."""
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa"


def grown(table: Table, sectors: int) -> Table:
    """`table` on a disk that has grown to so many sectors: its last partition, unless it is the firmware's own,
    reaches to the end."""
    last_usable = sectors - RESERVED - 1
    final = max(table.partitions, key=lambda partition: partition.last, default=None)
    slots = table.slots
    if final is not None and final.kind != ESP and final.last < last_usable:
        longer = msgspec.structs.replace(final, last=last_usable)
        slots = tuple(longer if slot is final else slot for slot in slots)
    return Table(table.id, slots, sectors - 1, last_usable)


def grow(path: Path) -> bool:
    """Fit the table on the disk image `path` to the file's size; whether there was anything to do.

    Disks with another table than ours, or with one that is damaged, are left to their guest.
    """
    with path.open("r+b") as disk:
        sectors = os.fstat(disk.fileno()).st_size // SECTOR
        try:
            before = read(disk)
        except GptError:
            return False
        after = grown(before, sectors)
        if after == before or len(before.slots) > ENTRIES or sectors <= before.backup:
            return False
        first, second = encode(after, sectors)
        _write(disk, (sectors - RESERVED) * SECTOR, second)
        _write(disk, 0, first)
        # Who formats what was never written takes it for zeroes.
        _write(disk, (before.backup - RESERVED + 1) * SECTOR, bytes(RESERVED * SECTOR))
    return True


def _write(disk: BinaryIO, place: int, data: bytes) -> None:
    disk.seek(place)
    disk.write(data)
    disk.flush()
    os.fsync(disk.fileno())
