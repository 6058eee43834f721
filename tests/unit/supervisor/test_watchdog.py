from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.bench import Bench, bench

from snowshed.config import WatchdogConfig
from snowshed.model.lifecycle import State
from snowshed.supervisor.clock import keep_time
from snowshed.supervisor.journal import Feed
from snowshed.supervisor.watchdog import Watchdog


@asynccontextmanager
async def watched(folder: Path, *, timeout: float = 1.0, action: str = "report") -> AsyncIterator[tuple[Bench, Feed]]:
    async with bench(folder) as b:
        with b.journal.follow() as feed:
            async with watching(b, timeout, action):
                yield b, feed


@asynccontextmanager
async def watching(b: Bench, timeout: float, action: str) -> AsyncIterator[None]:
    task = asyncio.create_task(Watchdog(WatchdogConfig(timeout, action), b.builder, b.journal).watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(feed: Feed, state: State) -> None:
    """Return when the builder has come into `state`, however shortly it stays there."""
    async with asyncio.timeout(60):
        while (happening := await feed.get()) is None or happening.state != state:
            pass


async def test_a_guest_that_answers_nobody_is_given_up_and_the_next_one_lives(tmp_path: Path) -> None:
    async with watched(tmp_path) as (b, feed):
        await b.builder.wake()
        b.driver.fate.silent = {"agent", "ssh"}
        await until(feed, State.FAILED)
        assert b.builder.failure is not None
        assert "not responding" in b.builder.failure.message
        assert b.builder.failure.console
        assert b.driver.live == []
        b.driver.fate.silent = set()
        await b.builder.wake()
        assert b.builder.state is State.RUNNING


@pytest.mark.parametrize("silent", ["agent", "ssh"])
async def test_a_guest_that_answers_in_one_way_is_alive(tmp_path: Path, silent: str) -> None:
    async with watched(tmp_path) as (b, _):
        await b.builder.wake()
        b.driver.fate.silent = {silent}
        for _ in range(50):
            await asyncio.sleep(0.01)
            assert b.builder.state is State.RUNNING


async def test_it_is_restarted_where_that_is_wanted(tmp_path: Path) -> None:
    async with watched(tmp_path, action="restart") as (b, feed):
        await b.builder.wake()
        b.driver.fate.silent = {"agent", "ssh"}
        await until(feed, State.FAILED)
        b.driver.fate.silent = set()
        await until(feed, State.RUNNING)
        assert b.driver.starts > 1
        assert "watchdog restarts" in b.log.getvalue()


async def test_a_guest_that_sleeps_is_not_watched(tmp_path: Path) -> None:
    async with watched(tmp_path, timeout=0.05) as (b, _):
        await b.builder.wake()
        await b.builder.pause()
        b.driver.fate.silent = {"agent", "ssh"}
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert b.builder.state is State.PAUSED
        b.driver.fate.silent = set()


async def test_zero_is_off(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await Watchdog(WatchdogConfig(0.0), b.builder, b.journal).watch()


@pytest.mark.parametrize(("ahead", "words"), [(90.0, "ahead; it is set"), (-90.0, "behind; it is set")])
async def test_a_clock_that_goes_wrong_is_set(tmp_path: Path, ahead: float, words: str) -> None:
    async with watched(tmp_path, timeout=0.2) as (b, _), asyncio.timeout(60):
        await b.builder.wake()
        while words not in b.log.getvalue():
            if b.driver.fate.ahead == 0.0:  # set at the end of the boot, or by the watchdog
                b.driver.fate.ahead = ahead
            await asyncio.sleep(0.01)


async def test_a_clock_that_goes_right_is_left_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        guest = await b.builder.wake()
        b.driver.fate.ahead = 0.5
        await keep_time(guest, b.journal)
        assert "clock" not in b.log.getvalue()
