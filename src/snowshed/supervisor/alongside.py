"""What is done with a file while somebody else writes it: the disk takes it, and its checksum is learnt. Blocking.

`written` is set when nothing more comes. The file may be made only after a while.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from threading import Event

from .. import durable, sparse

BREATH = 0.02
"""Seconds between two looks at a file that may grow by a gigabyte a second."""

_PIECE = 1 << 20
_ZEROES = bytes(_PIECE)


def synced(file: Path, written: Event) -> None:
    """Return when all of `file` is on the disk, which begins with it at once. Raises `OSError`."""
    while not written.wait(BREATH):
        if file.exists():
            durable.begin(file)
    durable.sync(file)


def checksum(file: Path, written: Event | None = None, *, in_order: bool = True) -> int:
    """A CRC-32 of a file's contents. Raises `OSError`.

    Of the pieces of 1 MiB that are not all zeroes, each after its number: holes are not read, which would fill the
    host's memory with zeroes. With `written`, the file is read as it comes, or afterwards where it is not written from
    its beginning to its end.
    """
    if written is None:
        written = Event()
        written.set()
    while not written.wait(BREATH) and not (in_order and file.exists()):
        pass
    value = done = 0
    with file.open("rb") as data:
        while True:
            over = written.is_set()
            size = os.fstat(data.fileno()).st_size
            whole = -(-size // _PIECE) if over else size // _PIECE
            value = _summed(data.fileno(), done, whole, value)
            if over:
                return value
            done = whole
            written.wait(BREATH)


def _summed(descriptor: int, first: int, last: int, value: int) -> int:
    """`value`, and after it the pieces of an open file from `first` on, `last` not among them."""
    for start, end in sparse.extents(descriptor, last * _PIECE, first * _PIECE):
        for number in range(max(first, start // _PIECE), -(-end // _PIECE)):
            piece = os.pread(descriptor, _PIECE, number * _PIECE)
            if piece != _ZEROES[: len(piece)]:
                value = zlib.crc32(piece, zlib.crc32(number.to_bytes(8, "little"), value))
            first = number + 1
    return value
