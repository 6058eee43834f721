"""Lines and descriptors over a socket pair: the same on both sides.

A descriptor travels with the first byte of the line that tells of it (unix(7), SCM_RIGHTS; on macOS likewise before
the data it was sent with), so once a line is complete its descriptor is here, and descriptors come in the lines'
order.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

MOST_DESCRIPTORS = 64
LONGEST_LINE = 1 << 20
_CHUNK = 1 << 16

Watch = Callable[[socket.socket, Callable[[], Any]], None]


class WireError(ConnectionError):
    """The other side sent something that is no line of ours."""


class Wire:
    """One end. One task reads; any number may send."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()
        self._sending = asyncio.Lock()

    async def read_line(self) -> bytes:
        """The next line, without its end; empty once the other side is gone. Raises `WireError`."""
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > LONGEST_LINE:
                raise WireError("a line without an end")
            try:
                data, descriptors = await self._receive()
            except ConnectionError:
                data, descriptors = b"", []
            self._descriptors += descriptors
            if not data:
                return b""
            self._buffer += data

    def take_descriptor(self) -> int:
        """The descriptor that came with the line just read; it is the caller's to close. Raises `WireError`."""
        if not self._descriptors:
            raise WireError("a descriptor was promised and did not come")
        return self._descriptors.popleft()

    async def _receive(self) -> tuple[bytes, list[int]]:
        while True:
            try:
                data, descriptors, flags, _ = socket.recv_fds(self._socket, _CHUNK, MOST_DESCRIPTORS)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
                continue
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            if flags & socket.MSG_CTRUNC:
                raise WireError("descriptors were lost")
            return data, descriptors

    async def send(self, line: bytes, descriptor: int | None = None) -> None:
        """Send a whole line, and `descriptor` with it. Raises `OSError` once the other side is gone."""
        async with self._sending:
            rest = memoryview(line)
            if descriptor is not None:
                rest = rest[await self._send_with(rest, descriptor) :]
            if rest:
                await self._loop.sock_sendall(self._socket, rest)

    async def _send_with(self, data: memoryview, descriptor: int) -> int:
        while True:
            try:
                return socket.send_fds(self._socket, [data], [descriptor])
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)

    async def _ready(self, watch: Watch, unwatch: Callable[[socket.socket], bool]) -> None:
        ready = asyncio.Event()
        watch(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            unwatch(self._socket)

    def close(self) -> None:
        """Close our end, and what came and was not taken. May be called again."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
