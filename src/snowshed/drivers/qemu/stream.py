"""Bytes that QEMU writes and nobody may make it wait for: the guest's console, and QEMU's own messages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

CHUNK = 65536


class Stream:
    """Reads a descriptor as soon as there is something, hands it on, and keeps its tail.

    The descriptor is the stream's own; it is closed at its end or by `close`. A `take` that raises is not called
    again: the guest goes on.
    """

    def __init__(self, descriptor: int, take: Callable[[bytes], None], *, keep: int = 4096) -> None:
        self._descriptor: int | None = descriptor
        self._take: Callable[[bytes], None] | None = take
        self._keep = keep
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    @property
    def tail(self) -> str:
        """The last of what was read, as text."""
        return self._tail.decode(errors="replace")

    def close(self) -> None:
        """Read what is there already, then close. May be called again."""
        while self._descriptor is not None and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        """Take one chunk; whether there may be another."""
        assert self._descriptor is not None
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # the other end is gone (ECONNRESET), or a terminal was closed (EIO)
            data = b""
        if not data:
            self._end()
            return False
        self._tail = (self._tail + data)[-self._keep :]
        self._hand_on(data)
        return True

    def _hand_on(self, data: bytes) -> None:
        if self._take is None:
            return
        try:
            self._take(data)
        except Exception:
            self._take = None
            raise

    def _end(self) -> None:
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
