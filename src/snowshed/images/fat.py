"""FAT file systems, as far as firmware needs them: one is made that holds one file, and files in one are found.

Format: Microsoft's "FAT: General Overview of On-Disk Format" (FAT32 specification 1.03). Names are those of eight and
three characters that every FAT has: all that firmware looks for can be written so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

SECTOR = 512
CLUSTER = 8 * SECTOR
RESERVED = 32
"""Sectors before the first table."""
LARGEST_FOLDER = 65536 * 32
"""Bytes that the entries of a folder may take."""
LEAST_CLUSTERS = 66_000
"""With fewer than 65,525 it would be no FAT32."""

_FOLDER, _FILE, _LABEL = 0x10, 0x20, 0x08
_END = 0x0FFFFFFF
_EPOCH = 0x0021
"""The first of January 1980."""
_NAME = b"SNOWSHED   "

Read = Callable[[int, int], bytes]
"""Gives `size` bytes from `offset` on, fewer at the end."""


class FatError(ValueError):
    """This is no FAT file system."""


def with_file(path: Sequence[str], data: bytes, *, hidden: int = 0) -> tuple[int, list[tuple[int, bytes]]]:
    """A FAT32 that holds `data` under `path`, folders first: its size in bytes, and its pieces by their offset; the
    rest is zeroes. `hidden` is how many sectors lie before it on its disk."""
    clusters = max(LEAST_CLUSTERS, len(path) + 16 + -(-len(data) // CLUSTER))
    table_sectors = -(-(clusters + 2) * 4 // SECTOR)
    sectors = RESERVED + 2 * table_sectors + clusters * (CLUSTER // SECTOR)
    boot = _boot_sector(sectors, table_sectors, hidden)
    information = _information()
    heap = RESERVED + 2 * table_sectors
    folders = _folders(path, len(data))
    table = _table(len(folders), len(data))
    pieces = [(0, boot), (SECTOR, information), (6 * SECTOR, boot), (7 * SECTOR, information)]
    pieces += [((RESERVED + copy * table_sectors) * SECTOR, table) for copy in range(2)]
    pieces += [(heap * SECTOR + number * CLUSTER, folder) for number, folder in enumerate(folders)]
    pieces.append((heap * SECTOR + len(folders) * CLUSTER, data))
    return sectors * SECTOR, pieces


def _boot_sector(sectors: int, table_sectors: int, hidden: int) -> bytes:
    sizes = (SECTOR, CLUSTER // SECTOR, RESERVED, 2, 0, 0, 0xF8, 0, 63, 255, hidden, sectors)
    common = struct.pack("<HBHBHHBHHHII", *sizes)
    places = (table_sectors, 0, 0, 2, 1, 6, 0x80, 0, 0x29, 0x534E4F57)
    larger = struct.pack("<IHHIHH12xBBBI11s8s", *places, _NAME, b"FAT32   ")
    return (b"\xeb\x58\x90SNOWSHED" + common + larger).ljust(510, b"\0") + b"\x55\xaa"


def _information() -> bytes:
    return struct.pack("<I480xIII12xI", 0x41615252, 0x61417272, 0xFFFFFFFF, 0xFFFFFFFF, 0xAA550000)


def _folders(path: Sequence[str], size: int) -> list[bytes]:
    """The clusters of the root and of each folder of `path`, which follow each other from cluster 2 on."""
    found = []
    for depth, name in enumerate(path):
        here, is_file = 2 + depth, depth == len(path) - 1
        entries = [_entry(_NAME, _LABEL, 0, 0)] if depth == 0 else [_entry(b".          ", _FOLDER, here, 0)]
        if depth:
            entries.append(_entry(b"..         ", _FOLDER, here - 1 if depth > 1 else 0, 0))
        entries.append(_entry(short(name), _FILE if is_file else _FOLDER, here + 1, size if is_file else 0))
        found.append(b"".join(entries).ljust(CLUSTER, b"\0"))
    return found


def _entry(name: bytes, attributes: int, cluster: int, size: int) -> bytes:
    low, high = cluster & 0xFFFF, cluster >> 16
    return struct.pack("<11sBBBHHHHHHHI", name, attributes, 0, 0, 0, _EPOCH, _EPOCH, high, 0, _EPOCH, low, size)


def _table(folders: int, size: int) -> bytes:
    """Each folder is one cluster long; the file comes after them, in one piece."""
    length = max(1, -(-size // CLUSTER))
    first = 2 + folders
    chain = [*range(first + 1, first + length), _END]
    return struct.pack(f"<{2 + folders + length}I", 0x0FFFFFF8, _END, *[_END] * folders, *chain)


def short(name: str) -> bytes:
    """`name` as the eleven bytes that a folder holds."""
    stem, _, extension = name.upper().partition(".")
    return stem.encode("ascii").ljust(8) + extension.encode("ascii").ljust(3)


class Fat:
    """A FAT12, FAT16 or FAT32 that `read` reads. Raises `FatError` where it is none."""

    def __init__(self, read: Read) -> None:
        self._read = read
        boot = read(0, SECTOR)
        if len(boot) < SECTOR or boot[510:512] != b"\x55\xaa":
            raise FatError
        fields = struct.unpack_from("<HBHBHHxH", boot, 11)
        self._sector, per_cluster, reserved, tables, roots, small, table16 = fields
        large, table32 = struct.unpack_from("<II", boot, 32)
        if self._sector not in (512, 1024, 2048, 4096) or not per_cluster or not tables:
            raise FatError
        self._cluster = self._sector * per_cluster
        self._table = reserved * self._sector
        self._root = self._table + tables * (table16 or table32) * self._sector
        self._root_size = roots * 32
        self._heap = self._root + -(-self._root_size // self._sector) * self._sector
        clusters = ((small or large) * self._sector - self._heap) // self._cluster
        self._bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
        self._first = struct.unpack_from("<I", boot, 44)[0] if self._bits == 32 else 0
        self._most = clusters + 2

    def holds(self, *path: str) -> bool:
        """Whether there is a file under `path`."""
        cluster = self._first
        for depth, name in enumerate(path):
            found = next((e for e in self._entries(cluster) if e[:11] == short(name)), None)
            if found is None or bool(found[11] & _FOLDER) == (depth == len(path) - 1):
                return False
            low, high = struct.unpack_from("<H", found, 26)[0], struct.unpack_from("<H", found, 20)[0]
            cluster = low | (high << 16 if self._bits == 32 else 0)
        return True

    def _entries(self, cluster: int) -> Iterator[bytes]:
        """The entries of the folder that begins in `cluster`; zero is the root of a FAT that keeps it apart."""
        pieces = self._chain(cluster) if cluster else [self._read(self._root, self._root_size)]
        for piece in pieces:
            for place in range(0, len(piece), 32):
                if not piece[place]:
                    return
                yield piece[place : place + 32]

    def _chain(self, cluster: int) -> Iterator[bytes]:
        for _ in range(LARGEST_FOLDER // self._cluster + 1):  # a damaged table may lead in a circle
            if not 2 <= cluster < self._most:
                return
            yield self._read(self._heap + (cluster - 2) * self._cluster, self._cluster)
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        if self._bits == 12:
            pair = int.from_bytes(self._read(self._table + cluster * 3 // 2, 2), "little")
            return pair >> 4 if cluster & 1 else pair & 0xFFF
        width = self._bits // 8
        return int.from_bytes(self._read(self._table + cluster * width, width), "little") & 0x0FFFFFFF
