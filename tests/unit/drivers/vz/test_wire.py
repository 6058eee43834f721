"""Lines and descriptors over a socket pair."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest
from fakes.machines import M3, spec

from snowshed.drivers.vz.messages import Closed, Connected, Hello, Start, decode_answer, decode_request, encode
from snowshed.drivers.vz.wire import LONGEST_LINE, Wire, WireError


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Wire, Wire, socket.socket]]:
    one, other = socket.socketpair()
    first, second = Wire(one), Wire(other)
    yield first, second, one
    first.close()
    second.close()


async def test_lines_come_whole_and_in_order(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, _ = ends
    await asyncio.gather(*(first.send(b"%d" % number * 1000 + b"\n") for number in range(10)))
    assert [await second.read_line() for _ in range(10)] == [b"%d" % number * 1000 for number in range(10)]


async def test_a_line_longer_than_the_sockets_buffer(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, _ = ends
    long = b"x" * (LONGEST_LINE - 10)
    sending = asyncio.create_task(first.send(long + b"\n"))
    assert await second.read_line() == long
    await sending


async def test_descriptors_come_in_the_order_of_their_lines(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, _ = ends
    pipes = [os.pipe() for _ in range(5)]
    for number, (_, writing) in enumerate(pipes):
        await first.send(b"%d\n" % number, writing)
        os.close(writing)
    for number, (reading, _) in enumerate(pipes):
        assert await second.read_line() == b"%d" % number
        descriptor = second.take_descriptor()
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"%d" % number)
        os.close(descriptor)
        assert os.read(reading, 9) == b"%d" % number
        os.close(reading)


async def test_a_descriptor_that_did_not_come(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, _ = ends
    await first.send(b"x\n")
    await second.read_line()
    with pytest.raises(WireError, match="did not come"):
        second.take_descriptor()


async def test_the_end_is_an_empty_line(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, raw = ends
    await first.send(b"last\nhalf a line")
    raw.shutdown(socket.SHUT_WR)
    assert await second.read_line() == b"last"
    assert await second.read_line() == b""


async def test_a_line_without_an_end(ends) -> None:  # type: ignore[no-untyped-def]
    first, second, _ = ends
    sending = asyncio.create_task(first.send(b"x" * (LONGEST_LINE + (1 << 17))))
    with pytest.raises(WireError, match="without an end"):
        await second.read_line()
    sending.cancel()


async def test_what_was_not_taken_is_closed() -> None:
    one, other = socket.socketpair()
    first, second = Wire(one), Wire(other)
    reading, writing = os.pipe()
    await first.send(b"x\n", writing)
    os.close(writing)
    await second.read_line()
    second.close()
    assert os.read(reading, 1) == b""
    os.close(reading)
    first.close()


def test_messages_survive_the_way(tmp_path) -> None:  # type: ignore[no-untyped-def]
    start = Start(7, spec(tmp_path), M3, 5, b"\0\xff", "/s/suspend.state")
    assert decode_request(encode(start)) == start
    assert decode_request(encode(Closed(3))) == Closed(3)
    for answer in (Hello(1, "0.1", 42), Connected(1, 2)):
        assert decode_answer(encode(answer)) == answer
