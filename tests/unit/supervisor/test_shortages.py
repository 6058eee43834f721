"""A kernel that ends processes for want of memory, and what the supervisor makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.bench import Bench, bench

from snowshed.model.wire import Shortage
from snowshed.supervisor import shortages
from snowshed.units import GIB, MIB

ANSWER = "dir 30001 /data/build/nix-build-hungry-1.0.drv-0/build\nlimit 7516192768\n"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortages, "SETTLE", 0.0)


def killed(process: str, mebibytes: int, user: int) -> str:
    held = f"anon-rss:{mebibytes * 1024}kB, file-rss:0kB, shmem-rss:0kB, UID:{user} pgtables:1776kB oom_score_adj:500"
    return f"[   83.4] Memory cgroup out of memory: Killed process 271 ({process}) total-vm:9999kB, {held}\r\n"


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[Bench]:
    async with bench(folder) as b:
        b.driver.fate.culprit = ANSWER
        await (await b.builder.wake()).fully_up()
        yield b


async def hears(b: Bench, *lines: str) -> tuple[Shortage, ...]:
    """What is known once everything said has been looked into."""
    b.driver.live[0]._launch.console("".join(lines).encode())
    async with asyncio.timeout(30):
        while b.shortages._looking:
            await asyncio.sleep(0)
    return b.shortages.known


async def test_the_build_is_named(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        (found,) = await hears(b, killed("cc1plus", 6246, 30001))
        assert (found.build, found.process, found.held, found.limit) == ("hungry-1.0", "cc1plus", 6246 * MIB, 7 * GIB)
        assert found.text.startswith("The build of hungry-1.0 ran out of memory at ")
        assert found.text.endswith(": its cc1plus held 6.1 GiB of the 7 GiB that all builds may take.")
        assert f"warning: {found.text}\n" in b.log.getvalue()


async def test_the_largest_of_several_stands_for_all_and_is_told_of_once(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        lines = [killed("cc1", 1024, 30001), killed("ld", 2048, 30001), killed("cc1", 512, 30001)]
        (found,) = await hears(b, *lines)
        assert (found.process, found.held) == ("ld", 2 * GIB)
        assert await hears(b, killed("cc1", 700, 30001)) == (found,)


async def test_what_is_no_build_is_told_of_as_well(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        (found,) = await hears(b, killed("python3", 700, 1000))
        assert found.build == ""
        assert found.text.startswith("The guest ran out of memory at ")
        assert found.text.endswith(": its kernel ended python3, which held 700 MiB.")


async def test_a_guest_that_cannot_be_asked_still_ran_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snowshed.supervisor.shortages.PATIENCE", 0.01)
    async with up(tmp_path) as b:
        await (await b.builder.running()).agent()
        b.driver.fate.silent.add("agent")
        (found,) = await hears(b, killed("cc1", 700, 30001))
        assert found.text.startswith("A build ran out of memory at ")
        assert found.text.endswith(": its cc1 held 700 MiB.")
        b.driver.fate.silent.clear()


async def test_a_line_that_is_not_the_kernels_is_nothing(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        assert await hears(b, "Out of memory: Killed process by hand\r\n") == ()


LOGS = "log ./j6/5yihcw06022qyj5v2b9mjvjf286nl3-hog-1.0.drv.bz2 dd: error writing 'x': No space left on device\n"
BOMB = "log ./j6/5yihcw06022qyj5v2b9mjvjf286nl3-bomb.drv sh: can't fork: Resource temporarily unavailable\n"


async def last_words(b: Bench, *lines: str) -> tuple[Shortage, ...]:
    b.driver.fate.last_words = "".join(lines)
    await b.shortages.look()
    return b.shortages.known


async def test_a_build_whose_last_words_are_of_a_full_disk_is_named(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        (found,) = await last_words(b, LOGS, "free 1000000 4096\n")
        assert (found.of, found.build, found.limit) == ("disk", "hog-1.0", 0)
        assert found.text.startswith("The build of hog-1.0 ran out of disk space at ")
        assert all(remedy in found.text for remedy in ("`snowshed gc`", "--disk-size", "`nix.min_free`"))
        assert f"warning: {found.text}\n" in b.log.getvalue()


async def test_a_disk_that_is_full_without_a_build_is_told_of_once(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        assert await last_words(b, "free 2048 4096\n") == ()
        (found,) = await last_words(b, "free 2047 4096\n")
        assert found.text.startswith("The guest ran out of disk space at ")
        assert await last_words(b, "free 2047 4096\n") == (found,)


@pytest.mark.parametrize(("limit", "each"), [(2780, 1390), (24576, 8192)])
async def test_a_build_that_could_start_no_more_processes_is_named(limit: int, each: int, tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        (found,) = await last_words(b, f"processes {limit}\n", BOMB)
        assert (found.of, found.build, found.limit) == ("processes", "bomb", limit)
        assert found.text.startswith("The build of bomb could start no more processes at ")
        assert found.text.endswith(f": all builds together may have {limit}, and one alone {each}.")


async def test_a_guest_that_is_gone_says_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        assert await last_words(b, LOGS) == ()


async def test_the_last_few_are_kept(tmp_path: Path) -> None:
    async with up(tmp_path) as b:
        for number in range(shortages.KEPT + 2):
            b.driver.fate.culprit = ANSWER.replace("hungry-1.0", f"hungry-{number}")
            await hears(b, killed("cc1", 700, 30001))
        assert [found.build for found in b.shortages.known] == [f"hungry-{n}" for n in range(2, shortages.KEPT + 2)]
