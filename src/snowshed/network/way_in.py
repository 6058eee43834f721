"""The way to a guest's ports: vsock where the guest listens there, its NAT address where it does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..errors import GuestError
from .nat import NatAddress

PEEK = 0.3
"""Seconds in which a hypervisor has closed a vsock connection that nobody in the guest wanted."""

Connect = Callable[[int], Awaitable[socket.socket]]


async def was_refused(connection: socket.socket) -> bool:
    """Whether the other end closed at once: what a hypervisor does that accepts before it asks the guest.

    Silence is no refusal, and nothing of what the guest says is taken.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        async with asyncio.timeout(PEEK):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(connection)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class WayIn:
    """Connects to one guest. The first connection that vsock serves settles it: from then on nothing is looked at."""

    def __init__(self, vsock: Connect, nat: NatAddress | None) -> None:
        self._vsock, self._nat = vsock, nat
        self._settled = nat is None

    async def connect(self, port: int) -> socket.socket:
        """A connected socket to the guest's `port`. Raises `GuestError` or `OSError` when nothing listens there."""
        if self._settled or self._nat is None:
            return await self._vsock(port)
        with suppress(GuestError, OSError):
            connection = await self._vsock(port)
            if not await was_refused(connection):
                self._settled = True
                return connection
            connection.close()
        return await self._nat.connect(port)

    def forget(self) -> None:
        """The guest is gone."""
        if self._nat is not None:
            self._nat.forget()
