"""The forwarder between real loopback sockets, with a guest of the tests' own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from snowshed.errors import GuestError
from snowshed.supervisor.forwarder import UNANSWERED_LIMIT, Forwarder
from snowshed.supervisor.idle import Leases

BANNER = b"SSH-2.0-guest\r\n"


class Guest:
    """Says a banner, echoes, and counts; `ready` holds everybody, `deaf` connections end without a byte."""

    def __init__(self, *, deaf: int = 0, refusing: int = 0, greets: bool = True) -> None:
        self.ready = asyncio.Event()
        self.accepted = asyncio.Semaphore(0)
        self.deaf = deaf
        self.refusing = refusing
        self.greets = greets
        self.connects = 0
        self.unanswered = 0
        self.most_unanswered = 0
        self.failing: Exception | None = None

    async def wake(self) -> Guest:
        await self.ready.wait()
        if self.failing:
            raise self.failing
        return self

    async def connect(self) -> socket.socket:
        self.connects += 1
        if self.refusing:
            self.refusing -= 1
            raise GuestError("fake: nothing is accepted just now")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        task = asyncio.create_task(self._serve(theirs))
        task.add_done_callback(lambda _: theirs.close())
        self.accepted.release()
        return ours

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self.deaf:
            self.deaf -= 1
            self.unanswered -= 1
            return
        await asyncio.sleep(0)
        self.unanswered -= 1
        if self.greets:
            await loop.sock_sendall(client, BANNER)
        while data := await loop.sock_recv(client, 1 << 16):
            await loop.sock_sendall(client, data)
        client.shutdown(socket.SHUT_WR)


@asynccontextmanager
async def forwarding(guest: Guest) -> AsyncIterator[tuple[Forwarder, Leases, int]]:
    leases = Leases(0, lambda: None)
    forwarder = Forwarder(leases, guest.wake)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(forwarder.serve(listener, tasks))
            try:
                yield forwarder, leases, listener.getsockname()[1]
            finally:
                serving.cancel()
                guest.ready.set()


async def client(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def until(condition: object) -> None:
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_a_client_is_held_until_the_guest_is_ready_and_loses_nothing_it_said() -> None:
    guest = Guest()
    async with forwarding(guest) as (forwarder, leases, port):
        reader, writer = await client(port)
        writer.write(b"SSH-2.0-client\r\n")
        await until(lambda: forwarder.held)
        assert (forwarder.held, forwarder.open, leases.reasons) == (1, 0, ("connection",))
        guest.ready.set()
        assert await reader.readexactly(len(BANNER)) == BANNER
        assert await reader.readexactly(16) == b"SSH-2.0-client\r\n"
        assert (forwarder.held, forwarder.open) == (0, 1)
        writer.close()
        await until(lambda: not leases)


async def test_two_hundred_clients_are_served_and_few_at_a_time_are_unanswered() -> None:
    guest = Guest()
    async with forwarding(guest) as (_, leases, port):
        clients = [await client(port) for _ in range(200)]
        guest.ready.set()
        banners = await asyncio.gather(*(reader.readexactly(len(BANNER)) for reader, _ in clients))
        assert banners == [BANNER] * 200
        assert leases.reasons == ("connection (200)",)
        assert guest.most_unanswered <= UNANSWERED_LIMIT
        for _, writer in clients:
            writer.close()
        await until(lambda: not leases)


async def test_a_client_that_gives_up_costs_nothing() -> None:
    guest = Guest()
    async with forwarding(guest) as (forwarder, leases, port):
        _, writer = await client(port)
        writer.write(b"SSH-2.0-client\r\n")
        await until(lambda: forwarder.held)
        writer.close()
        await until(lambda: not leases)
        assert forwarder.held == 0
        guest.ready.set()
        reader, writer = await client(port)
        assert await reader.readexactly(len(BANNER)) == BANNER
        writer.close()


async def test_everybody_who_waits_is_let_go_when_the_guest_cannot_be_had() -> None:
    guest = Guest()
    guest.failing = GuestError("no")
    async with forwarding(guest) as (_, leases, port):
        clients = [await client(port) for _ in range(5)]
        guest.ready.set()
        assert await asyncio.gather(*(reader.read() for reader, _ in clients)) == [b""] * 5
        assert not leases
        guest.failing = None
        reader, writer = await client(port)
        assert await reader.readexactly(len(BANNER)) == BANNER
        writer.close()


@pytest.mark.parametrize("trouble", ["deaf", "refusing"])
async def test_a_connection_that_comes_to_nothing_is_tried_again(trouble: str) -> None:
    guest = Guest(**{trouble: 3})
    guest.ready.set()
    async with forwarding(guest) as (_, _, port):
        reader, writer = await client(port)
        assert await reader.readexactly(len(BANNER)) == BANNER
        assert guest.connects == 4
        writer.close()


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
async def test_bytes_pass_both_ways_and_half_closes_are_passed_on(size: int) -> None:
    guest = Guest()
    guest.ready.set()
    data = bytes(range(256)) * (size // 256 + 1)
    async with forwarding(guest) as (_, leases, port):
        reader, writer = await client(port)
        assert await reader.readexactly(len(BANNER)) == BANNER

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        _, echoed = await asyncio.gather(send(), reader.read())
        assert echoed == data
        writer.close()
        await until(lambda: not leases)
