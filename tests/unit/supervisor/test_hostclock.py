from __future__ import annotations

import asyncio
import sys
import time

import pytest

from snowshed.supervisor import hostclock


async def watched(jumps: asyncio.Queue[None]) -> asyncio.Task[None]:
    async def jumped() -> None:
        await jumps.put(None)

    task = asyncio.create_task(hostclock.watch(jumped))
    await asyncio.sleep(0)
    return task


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that its clock was set")
async def test_every_setting_of_the_clock_is_noticed() -> None:
    jumps: asyncio.Queue[None] = asyncio.Queue()
    task = await watched(jumps)
    try:
        for _ in range(2):
            try:
                time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
            except PermissionError:
                pytest.skip("only root can set the clock, even to what it is")
            await asyncio.wait_for(jumps.get(), 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_where_nothing_tells_the_clocks_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(hostclock, "LOOK_EVERY", 0.001)
    offset = 0.0
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + offset)
    jumps: asyncio.Queue[None] = asyncio.Queue()
    task = await watched(jumps)
    try:
        await asyncio.sleep(0.02)
        assert jumps.empty()
        offset = 3600.0
        await asyncio.wait_for(jumps.get(), 30)
        await asyncio.sleep(0.02)
        assert jumps.empty(), "one jump was told twice"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that its clock was set")
async def test_a_clock_that_is_set_while_the_last_setting_is_dealt_with_is_noticed_too() -> None:
    jumps: asyncio.Queue[None] = asyncio.Queue()

    async def jumped() -> None:
        if jumps.empty():
            time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
        await jumps.put(None)

    task = asyncio.create_task(hostclock.watch(jumped))
    await asyncio.sleep(0)
    try:
        try:
            time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
        except PermissionError:
            pytest.skip("only root can set the clock, even to what it is")
        async with asyncio.timeout(30):
            while jumps.qsize() < 2:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
