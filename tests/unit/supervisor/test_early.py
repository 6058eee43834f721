"""The connection that is made before anybody may use it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from snowshed.errors import GuestError
from snowshed.supervisor import early
from snowshed.supervisor.early import EarlyConnection


class Line:
    """A connection that comes when `ready` is set; `far` is its other end."""

    def __init__(self) -> None:
        self._near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.ready = asyncio.Event()

    async def dial(self) -> socket.socket:
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self._near.close()
            raise
        return self._near

    async def hung_up(self) -> None:
        async with asyncio.timeout(20):
            assert await asyncio.get_running_loop().sock_recv(self.far, 1) == b""


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    with line.far:
        yield line


async def test_the_first_who_asks_gets_it(line: Line) -> None:
    async with asyncio.TaskGroup() as tasks:
        connection = EarlyConnection(line.dial, tasks)
        asking = asyncio.create_task(connection.take())
        await asyncio.sleep(0)
        assert await connection.take() is None
        line.ready.set()
        taken = await asking
        assert taken is not None
        with taken:
            connection.close()
            taken.sendall(b"x")
            assert line.far.recv(1) == b"x"


async def test_it_is_closed_where_nobody_asks(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "KEPT_SECONDS", 0.0)
    line.ready.set()
    async with asyncio.TaskGroup() as tasks:
        connection = EarlyConnection(line.dial, tasks)
        await line.hung_up()
        assert await connection.take() is None


@pytest.mark.parametrize("came", [False, True])
async def test_it_is_closed_when_the_guest_is_gone(line: Line, came: bool) -> None:
    async with asyncio.TaskGroup() as tasks:
        connection = EarlyConnection(line.dial, tasks)
        if came:
            line.ready.set()
        await asyncio.sleep(0)
        connection.close()
        await line.hung_up()
        assert await connection.take() is None


async def test_it_is_closed_when_whoever_asked_has_left(line: Line) -> None:
    async with asyncio.TaskGroup() as tasks:
        connection = EarlyConnection(line.dial, tasks)
        asking = asyncio.create_task(connection.take())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        line.ready.set()
        await line.hung_up()


async def test_a_guest_that_does_not_answer_is_no_failure() -> None:
    async def dial() -> socket.socket:
        raise GuestError("nobody there")

    async with asyncio.TaskGroup() as tasks:
        assert await EarlyConnection(dial, tasks).take() is None
