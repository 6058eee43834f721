"""A guest that nobody uses, and the memory that it gives back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes.bench import Bench, bench

from snowshed.model.lifecycle import State
from snowshed.supervisor import guest
from snowshed.supervisor.giving_back import GivingBack

GIVES = "Nobody uses the guest: it gives 800 MiB of its file cache back."


async def gives(b: Bench, *, useful: bool = True) -> bool:
    """Whether the guest gives 800 MiB back, when it is asked to."""
    b.driver.fate.cached = 800 << 10
    await GivingBack(b.builder, b.leases, b.journal, useful=useful).give_back()
    return GIVES in b.log.getvalue()


async def test_a_guest_that_runs_for_nobody_gives_its_cache_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        assert await gives(b)


@pytest.mark.parametrize("useful", [True, False])
async def test_one_that_is_down_is_left_alone_and_where_it_is_no_use_none_is_asked(
    tmp_path: Path, useful: bool
) -> None:
    async with bench(tmp_path) as b:
        if not useful:
            await b.builder.wake()
        assert not await gives(b, useful=useful)


async def test_one_that_somebody_uses_by_now_is_left_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        with b.leases.hold("connection"):
            assert not await gives(b)


async def test_one_that_sleeps_is_left_asleep(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        assert not await gives(b)
        assert b.builder.state is State.SUSPENDED


async def test_one_that_does_not_answer_runs_on(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.fate.failing.add("agent")
        assert not await gives(b)
        assert "did not give its cache back" in b.log.getvalue()
        assert b.builder.state is State.RUNNING


def test_what_the_guest_is_told_is_shell() -> None:
    done = subprocess.run(["sh", "-n"], input=guest.DROP_CACHE, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
