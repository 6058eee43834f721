"""Accepting on a listening socket for as long as somebody wants to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

OUT_OF_DESCRIPTORS = 0.1
"""Seconds until the next try where the system has nothing left for another client: some will end."""


async def clients(listener: socket.socket) -> AsyncIterator[socket.socket]:
    """Every client that connects, non-blocking. The listener is left open: others may hold it too."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError:
            await asyncio.sleep(OUT_OF_DESCRIPTORS)
            continue
        client.setblocking(False)
        yield client
