"""What is done with a file while somebody else writes it: the disk takes it, and its checksum is learnt. Blocking.

`written` is set when nothing more comes. The file may be made only after a while.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from threading import Event

from .. import durable

BREATH = 0.02
"""Seconds between two looks at a file that may grow by a gigabyte a second."""

_CHUNK = 1 << 20


def synced(file: Path, written: Event) -> None:
    """Return when all of `file` is on the disk, which begins with it at once. Raises `OSError`."""
    while not written.wait(BREATH):
        if file.exists():
            durable.begin(file)
    durable.sync(file)


def checksum(file: Path, written: Event | None = None, *, in_order: bool = True) -> int:
    """The CRC-32 of a file's contents; holes are read as the zeros that they are. Raises `OSError`.

    With `written`, the file is read as it comes, or afterwards where it is not written from its beginning to its end.
    """
    if written is None:
        written = Event()
        written.set()
    while not written.wait(BREATH) and not (in_order and file.exists()):
        pass
    value = 0
    with file.open("rb") as data:
        while True:
            over = written.is_set()
            while chunk := data.read(_CHUNK):
                value = zlib.crc32(chunk, value)
            if over:
                return value
            written.wait(BREATH)
