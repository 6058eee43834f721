"""Telling how far the memory of a guest is on the disk, by the file that grows: no hypervisor has an event for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

LOOK_EVERY = 0.5
"""Seconds: for a person who waits."""


@asynccontextmanager
async def growing(file: Path, whole: int, tell: Callable[[float], None]) -> AsyncIterator[None]:
    """While the block runs, tell which part of `whole` bytes, which is a guess, is in `file`."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(OSError):
                tell(part(file, whole))

    looking = asyncio.create_task(look(), name="watch memory grow")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def part(file: Path, whole: int) -> float:
    """The part of `whole` bytes that `file` takes of its disk, 1 at most. Raises `OSError`."""
    return min(1.0, file.stat().st_blocks * 512 / whole)
