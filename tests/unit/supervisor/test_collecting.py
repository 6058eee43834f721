"""A guest whose disk gets full, and the garbage that is collected there when nobody builds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fakes.bench import Bench, bench

from snowshed.errors import GuestError
from snowshed.supervisor.afterwards import Afterwards
from snowshed.supervisor.collecting import Collecting
from snowshed.units import GIB, MIB


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[tuple[Bench, Collecting]]:
    async with bench(folder) as b:
        await (await b.builder.wake()).fully_up()
        yield b, Collecting(b.builder, b.leases, b.journal, least=5 * GIB, enough=7 * GIB)


async def test_garbage_is_collected_when_less_than_the_least_is_free(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        b.driver.fate.free, b.driver.fate.garbage = 5 * GIB, GIB
        await collecting.look()
        assert b.driver.fate.garbage == GIB
        b.driver.fate.free -= MIB
        await collecting.look()
        assert b.driver.fate.garbage == 0
        assert (
            "Only 5.0 GiB of the guest's disk were free: garbage is collected, 1073741824 bytes freed; "
            "6.0 GiB are free."
        ) in b.log.getvalue()


async def test_it_waits_until_nobody_talks_to_nix(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        b.driver.fate.free, b.driver.fate.garbage, b.driver.fate.busy = GIB, GIB, True
        await collecting.look()
        assert "garbage" not in b.log.getvalue()
        b.driver.fate.busy = False
        await collecting.look()
        assert b.driver.fate.garbage == 0


async def test_what_did_not_help_is_not_done_again_before_the_disk_is_fuller(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        b.driver.fate.free = GIB
        await collecting.look()
        b.driver.fate.garbage = MIB
        await collecting.look()
        assert b.driver.fate.garbage == MIB
        b.driver.fate.free = GIB // 2
        await collecting.look()
        assert b.driver.fate.garbage == 0


async def test_a_disk_that_gets_full_anew_is_collected_anew(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        b.driver.fate.free = GIB
        await collecting.look()
        b.driver.fate.free = 20 * GIB  # a large result was deleted
        await collecting.look()
        b.driver.fate.free, b.driver.fate.garbage = GIB, MIB
        await collecting.look()
        assert b.driver.fate.garbage == 0


async def test_who_comes_meanwhile_waits_and_the_guest_is_kept_awake(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        b.driver.fate.free = GIB
        work = asyncio.create_task(collecting.look())
        async with asyncio.timeout(30):
            while not b.leases:
                await asyncio.sleep(0)
        assert b.leases.reasons == ("garbage collection",)
        comes = asyncio.create_task(collecting.done())
        await asyncio.sleep(0)
        assert not comes.done()
        await work
        await comes
        assert not b.leases


async def test_a_guest_that_is_down_is_left_alone(tmp_path: Path) -> None:
    async with up(tmp_path) as (b, collecting):
        await b.builder.suspend()
        b.driver.fate.free = 0
        await collecting.look()
        assert "garbage" not in b.log.getvalue()


async def test_all_who_leave_during_a_round_are_followed_by_one_more() -> None:
    rounds, at_work, go_on = 0, asyncio.Event(), asyncio.Event()

    async def look() -> None:
        nonlocal rounds
        rounds += 1
        at_work.set()
        await go_on.wait()
        raise GuestError("nothing depends on it")

    async with asyncio.TaskGroup() as tasks:
        afterwards = Afterwards((look,), tasks)
        afterwards.client_left()
        await at_work.wait()
        for _ in range(3):
            afterwards.client_left()
        go_on.set()
    assert rounds == 2
