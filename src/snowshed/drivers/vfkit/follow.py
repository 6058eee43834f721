"""Reading a file while another process writes it, told by the kernel: kqueue on macOS, inotify on Linux.

vfkit and krunkit have no other way to give the guest's console away: they write it to a file, from its beginning at
each start. What was read is given back to the host's disk, so that a guest that never stops talking does not fill it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

KEEP = 1 << 20
"""Bytes after which what was read is cut off the file."""

_CHUNK = 1 << 16
_IN_MODIFY = 0x2


class Changes:
    """A descriptor that becomes readable whenever the open file `file` at `path` was written."""

    if sys.platform == "darwin":

        def __init__(self, path: Path, file: int) -> None:
            """kqueue(2), EVFILT_VNODE."""
            self._queue = select.kqueue()
            notes = select.KQ_NOTE_WRITE | select.KQ_NOTE_EXTEND
            flags = select.KQ_EV_ADD | select.KQ_EV_CLEAR
            self._queue.control([select.kevent(file, select.KQ_FILTER_VNODE, flags, notes)], 0)
            self.descriptor = self._queue.fileno()

        def drain(self) -> None:
            """Take what is reported, so that the next report is a new one."""
            self._queue.control(None, 16, 0)

        def close(self) -> None:
            self._queue.close()

    else:

        def __init__(self, path: Path, file: int) -> None:
            """inotify(7). Raises `OSError`."""
            library = ctypes.CDLL(None, use_errno=True)
            self.descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self.descriptor < 0 or library.inotify_add_watch(self.descriptor, os.fsencode(path), _IN_MODIFY) < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))

        def drain(self) -> None:
            """Take what is reported, so that the next report is a new one."""
            with suppress(BlockingIOError):
                os.read(self.descriptor, _CHUNK)

        def close(self) -> None:
            os.close(self.descriptor)


class Follower:
    """Gives everything that is written to `path` to `sink`, in order, from when it is made until it is closed."""

    def __init__(self, path: Path, sink: Callable[[bytes], None]) -> None:
        self._path, self._sink = path, sink
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.fchmod(self._file, 0o600)
        self._read = 0
        self._uncut = 0
        self._changes = Changes(path, self._file)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._changes.descriptor, self._changed)

    def _changed(self) -> None:
        self._changes.drain()
        self._pump()

    def _pump(self) -> None:
        if 0 < os.fstat(self._file).st_size < self._read:
            self._read = 0  # it was cut, and this writer appends
        while chunk := os.pread(self._file, _CHUNK, self._read):
            self._read += len(chunk)
            self._uncut += len(chunk)
            self._sink(chunk)
        if self._uncut >= KEEP:
            self._uncut = 0
            os.ftruncate(self._file, 0)  # a writer that keeps its offset goes on behind a hole, which takes no room

    def close(self) -> None:
        """Read the rest, and stop."""
        self._loop.remove_reader(self._changes.descriptor)
        self._pump()
        self._changes.close()
        os.close(self._file)
