"""Guest memory that a share's daemon works on as well: a memory file that QEMU maps, made here.

QEMU would read all of it to save it, and reading a hole fills it: megabytes become gigabytes, of time and of the
host's memory. So its migration leaves shared memory out (the capability ``x-ignore-shared``), and what the guest has
really used is copied here, hole by hole, behind QEMU's own part of the file::

    QEMU's stream | the memory, as sparse as it is, from a multiple of 4096 on | trailer: magic, where it begins, size
"""

from __future__ import annotations

import os
import struct
import sys
from threading import Event

from ...errors import GuestError
from ...sparse import extents

_PAGE = 4096
_CHUNK = 16 << 20
_TRAILER = struct.Struct("<16sQQ")
_MAGIC = b"snowshed-ram-1\0\0"


class SharedRam:
    """`size` bytes of memory that exist as long as somebody has `descriptor` open or mapped. Linux only."""

    def __init__(self, size: int) -> None:
        assert sys.platform == "linux", "check() refuses shares elsewhere"
        self.size = size
        self.descriptor = os.memfd_create("snowshed-ram", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, size)

    def close(self) -> None:
        """Let go of it. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def save(self, file: int, stop: Event) -> None:
        """Append the memory to the open `file`. Blocks; ends early when `stop` is set. Raises `OSError`."""
        begin = -(-os.lseek(file, 0, os.SEEK_END) // _PAGE) * _PAGE
        for start, end in extents(self.descriptor, self.size):
            _copy(self.descriptor, start, file, begin + start, end - start, stop)
        os.pwrite(file, _TRAILER.pack(_MAGIC, begin, self.size), begin + self.size)

    def load(self, file: int, stop: Event) -> None:
        """Fill the memory from what `save` appended to `file`. Blocks. Raises `GuestError` where that is not whole."""
        begin = _begin(file, self.size)
        for start, end in extents(file, begin + self.size, begin):
            _copy(file, start, self.descriptor, start - begin, end - start, stop)


def _copy(source: int, offset: int, target: int, place: int, count: int, stop: Event) -> None:
    os.lseek(target, place, os.SEEK_SET)
    while count and not stop.is_set():
        done = os.sendfile(target, source, offset, min(count, _CHUNK))
        if not done:
            raise GuestError("The saved memory is shorter than it says.")
        offset += done
        count -= done


def _begin(file: int, size: int) -> int:
    length = os.fstat(file).st_size
    data = os.pread(file, _TRAILER.size, max(0, length - _TRAILER.size))
    if len(data) == _TRAILER.size:
        magic, begin, held = _TRAILER.unpack(data)
        if (magic, held, begin + held + _TRAILER.size) == (_MAGIC, size, length):
            return int(begin)
    raise GuestError("The saved memory is not that of this machine, or not whole.")
