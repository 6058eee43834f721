"""Following a file that another program writes: vfkit from its own offset, others by appending."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snowshed.drivers.vfkit import follow
from snowshed.drivers.vfkit.follow import Follower


class Heard:
    """What the follower passed on."""

    def __init__(self) -> None:
        self.data = b""
        self._more = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.data += data
        self._more.set()

    async def all(self, expected: bytes) -> None:
        async with asyncio.timeout(10):
            while self.data != expected:
                assert expected.startswith(self.data), self.data[-40:]
                self._more.clear()
                await self._more.wait()


@contextmanager
def writer(path: Path, flags: int) -> Iterator[Callable[[bytes], int]]:
    descriptor = os.open(path, os.O_WRONLY | flags)
    yield lambda data: os.write(descriptor, data)
    os.close(descriptor)


async def test_what_is_written_comes_in_order_and_to_the_end(tmp_path: Path) -> None:
    path, heard = tmp_path / "log", Heard()
    path.write_bytes(b"of an earlier start")
    follower = Follower(path, heard.take)
    with writer(path, os.O_TRUNC) as write:
        write(b"one\n")
        await heard.all(b"one\n")
        write(b"two\n")
        write(b"three")
    follower.close()
    assert heard.data == b"one\ntwo\nthree"
    assert path.stat().st_mode & 0o077 == 0


async def test_what_was_read_does_not_fill_the_hosts_disk(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Cut off, whether the writer keeps its offset or appends; nothing comes twice and nothing is made up."""
    monkeypatch.setattr(follow, "KEEP", 1000)
    for name, flags in (("offset", 0), ("append", os.O_APPEND)):
        path, heard = tmp_path / name, Heard()
        follower = Follower(path, heard.take)
        expected = b""
        with writer(path, flags) as write:
            for number in range(20):
                expected += (line := b"%03d " % number + b"x" * 200 + b"\n")
                write(line)
                await heard.all(expected)
        follower.close()
        assert heard.data == expected
        assert path.stat().st_blocks * 512 <= 8192, name
