"""The forwarder: accepts SSH on the host's loopback, holds it until the guest is ready, and splices it through.

A client is accepted at once, whatever the builder is doing: one refused connection makes Nix drop a builder for the
life of its build hook. What it sends meanwhile (ssh sends its version first) is kept for the guest. A client that
leaves while it waits costs nothing but its place.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import SnowshedError
from ..listening import clients
from ..tasks import finish
from .idle import Leases

CHUNK = 64 << 10
"""Bytes moved at once, and kept per direction of a connection."""

HELD_LIMIT = 64 << 10
"""Bytes of a held client that we keep; ssh sends less than 100 before it hears from the server."""

UNANSWERED_LIMIT = 2
"""Guest connections that may wait for their first byte. QEMU's user network listens with a backlog of 1, in which Linux
keeps 2; one more looks connected to us, and nobody at the other end knows of it."""

FIRST_WORD_SECONDS = 60.0
"""For one guest connection to say its first byte, before another one is tried."""

PATIENCE = 300.0
"""Seconds for a guest that is ready to answer one client: 200 of them may have come at once."""


class Reachable(Protocol):
    """A guest that is ready."""

    async def connect(self) -> socket.socket:
        """A connection to its SSH. Raises `SnowshedError` or `OSError`."""


Wake = Callable[[], Awaitable[Reachable]]
"""Returns the guest when it is ready. Raises `SnowshedError` where it cannot be had."""


@dataclass
class Traffic:
    """Bytes of all connections so far."""

    to_guest: int = 0
    from_guest: int = 0


class Forwarder:
    """Listens on `listeners` and connects every client with the guest; `served` clients so far."""

    def __init__(
        self,
        leases: Leases,
        wake: Wake,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_end`: a client that was served has left."""
        self._leases = leases
        self._wake = wake
        self._on_change = on_change
        self._on_end = on_end
        self._unanswered = asyncio.Semaphore(UNANSWERED_LIMIT)
        self.held = 0
        self.open = 0
        self.served = 0
        self.traffic = Traffic()

    async def serve(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Accept clients until cancelled; the listener itself is left open for whoever made it."""
        async for client in clients(listener):
            tasks.create_task(self._contain(client), name="connection")

    async def _contain(self, client: socket.socket) -> None:
        """One client from beginning to end; nothing that goes wrong with it leaves this function."""
        with client, self._leases.hold("connection"), suppress(SnowshedError, OSError):
            await self._serve(client)
            self._on_end()
        self._on_change()

    async def _serve(self, client: socket.socket) -> None:
        self.held += 1
        self._on_change()
        try:
            waiting = Waiting(client)
            guest, first = await waiting.until(self._answering_guest())
        finally:
            self.held -= 1
        self.open += 1
        self.served += 1
        self._on_change()
        try:
            with guest:
                await self._introduce(client, guest, first, waiting.said)
                await splice(client, guest, self.traffic)
        finally:
            self.open -= 1

    async def _introduce(self, client: socket.socket, guest: socket.socket, first: bytes, said: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, first)
        if said:
            await loop.sock_sendall(guest, said)

    async def _answering_guest(self) -> tuple[socket.socket, bytes]:
        """A guest connection and the first bytes it said: only then is it known to be served."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE, 0.0
        while True:
            guest = await self._wake()
            async with self._unanswered:
                found = await _first_word(guest)
            if found is not None:
                return found
            if loop.time() > deadline:
                raise ConnectionError("the guest's SSH does not answer")
            await asyncio.sleep(pause)
            pause = min(1.0, pause + 0.05)


async def _first_word(guest: Reachable) -> tuple[socket.socket, bytes] | None:
    """A connection to `guest` and its first bytes; None where it is refused, or ends or stays silent before them."""
    try:
        connection = await guest.connect()
    except (SnowshedError, OSError):
        return None
    try:
        first = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, CHUNK), FIRST_WORD_SECONDS)
    except OSError:
        first = b""
    except BaseException:
        connection.close()
        raise
    if first:
        return connection, first
    connection.close()
    return None


class Waiting:
    """A client that is held: collects what it says, and notices when it leaves."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.said = b""

    async def until(self, guest: Awaitable[tuple[socket.socket, bytes]]) -> tuple[socket.socket, bytes]:
        """The result of `guest`, unless the client leaves first: then raises `ConnectionError`."""
        wanted = asyncio.ensure_future(guest)
        listening = asyncio.create_task(self._listen(), name="held client")
        try:
            await asyncio.wait((wanted, listening), return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
            raise ConnectionError("the client left")
        finally:
            taken = wanted.done()
            await finish(_cancelled(listening, wanted), name="let go")
            if not taken and not wanted.cancelled() and wanted.exception() is None:
                wanted.result()[0].close()  # it came while we were leaving

    async def _listen(self) -> None:
        """Returns when the client has left; a client that says too much is simply not read any further."""
        loop = asyncio.get_running_loop()
        while len(self.said) < HELD_LIMIT:
            data = await loop.sock_recv(self._client, HELD_LIMIT)
            if not data:
                return
            self.said += data
        await loop.create_future()


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def splice(client: socket.socket, guest: socket.socket, traffic: Traffic) -> None:
    """Move bytes both ways until both sides have ended or either broke; passes half-closes on. `traffic` counts."""

    def to_guest(count: int) -> None:
        traffic.to_guest += count

    def from_guest(count: int) -> None:
        traffic.from_guest += count

    async with asyncio.TaskGroup() as both:
        both.create_task(_pump(client, guest, to_guest), name="pump to guest")
        both.create_task(_pump(guest, client, from_guest), name="pump to client")


async def _pump(source: socket.socket, sink: socket.socket, moved: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    try:
        while count := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(sink, view[:count])
            moved(count)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for side in (source, sink):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


def close_all(listeners: Sequence[socket.socket]) -> None:
    """Let go of listening sockets without unlinking or shutting down what others still hold."""
    for listener in listeners:
        listener.close()
