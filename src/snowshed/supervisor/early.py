"""A connection to a guest that continues, made while its clock is still being set.

Whoever woke the guest waits for its sshd, which starts two programs for every connection: it does so meanwhile.
Nothing is forwarded in either direction until somebody takes the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from ..errors import SnowshedError

KEPT_SECONDS = 5.0
"""For a client to take it: the guest may as well have been woken by a command."""


class EarlyConnection:
    """What `dial` brings, for the first who asks within `KEPT_SECONDS`; it is closed where nobody does."""

    def __init__(self, dial: Callable[[], Awaitable[socket.socket]], tasks: asyncio.TaskGroup) -> None:
        self._coming: asyncio.Task[socket.socket | None] | None
        self._coming = tasks.create_task(_made(dial), name="early connection")
        self._deadline = asyncio.get_running_loop().call_later(KEPT_SECONDS, self.close)

    async def take(self) -> socket.socket | None:
        """The connection, the caller's own from now on; None where it failed, or is taken or closed already."""
        coming = self._coming
        if coming is None:
            return None
        self._deadline.cancel()
        self._coming = None
        try:
            return await asyncio.shield(coming)
        except asyncio.CancelledError:
            coming.add_done_callback(_let_go)
            raise

    def close(self) -> None:
        """Nobody wants it any more. May be called again."""
        self._deadline.cancel()
        if self._coming is not None:
            self._coming.cancel()
            self._coming.add_done_callback(_let_go)
            self._coming = None


async def _made(dial: Callable[[], Awaitable[socket.socket]]) -> socket.socket | None:
    try:
        return await dial()
    except (SnowshedError, OSError):
        return None


def _let_go(coming: asyncio.Task[socket.socket | None]) -> None:
    connection = None if coming.cancelled() else coming.result()
    if connection is not None:
        connection.close()
