"""Samples of a builder on the fake driver: what is in them, when they come, and whom they leave in peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import look
from fakes.bench import Bench, bench

from snowshed.model.lifecycle import State
from snowshed.model.wire import DiskUse, MemoryUse, Report, Sample
from snowshed.supervisor import sampling
from snowshed.supervisor.forwarder import Forwarder
from snowshed.supervisor.sampling import Sampler
from snowshed.units import GIB

LONG = 3600.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SHORTEST", 0.0)


@asynccontextmanager
async def sampled(folder: Path) -> AsyncIterator[tuple[Bench, Sampler, Forwarder]]:
    async with bench(folder) as b, asyncio.TaskGroup() as tasks:
        forwarder = Forwarder(b.leases, b.builder.wake)

        async def report() -> Report:
            return Report(
                name="one",
                running=b.builder.state is State.RUNNING,
                state=b.builder.state,
                state_directory="/",
                system="x86_64-linux",
                disk=DiskUse(8 * GIB, GIB),
                memory=MemoryUse(GIB),
            )

        sampler = Sampler(b.builder, forwarder, report, tasks)
        b.journal.listeners.append(lambda _: sampler.stir())
        yield b, sampler, forwarder


async def up(b: Bench) -> None:
    await (await b.builder.wake()).fully_up()
    async with asyncio.timeout(30):
        while b.builder.ready_at is None:
            await asyncio.sleep(0)


async def test_a_sample_holds_what_host_and_guest_know(tmp_path: Path) -> None:
    async with sampled(tmp_path) as (b, sampler, forwarder):
        b.driver.fate.builds = ("hello-2.12.1", "gcc-13")
        forwarder.traffic.to_guest, forwarder.traffic.from_guest, forwarder.served = 10, 20, 3
        await up(b)
        sample = await sampler.sample()
        assert [build.name for build in sample.builds or ()] == ["hello-2.12.1", "gcc-13"]
        assert sample.builds is not None
        assert (sample.builds[0].seconds, sample.builds[0].processor, sample.builds[0].memory) == (10.0, 5.0, 1 << 20)
        disk = sample.report.disk
        assert disk == DiskUse(8 * GIB, GIB, used=1 << 20, used_at=disk and disk.used_at)
        assert sample.report.memory == MemoryUse(GIB, None, guest_free=GIB // 2)
        assert (sample.to_guest, sample.from_guest, sample.served) == (10, 20, 3)
        assert (sample.processor or 0) > 0


async def test_a_builder_that_rests_is_not_woken(tmp_path: Path) -> None:
    async with sampled(tmp_path) as (b, sampler, _):
        await up(b)
        await b.builder.suspend()
        sample = await sampler.sample()
        assert (sample.report.state, sample.builds, sample.processor) == ("suspended", None, None)
        assert b.builder.state is State.SUSPENDED
        assert b.driver.starts == 1


async def test_watching_is_no_lease(tmp_path: Path) -> None:
    async with sampled(tmp_path) as (b, sampler, _):
        await up(b)
        arrivals = b.leases.arrivals
        watching = sampler.watch(LONG)
        await anext(watching)
        assert (b.leases.arrivals, bool(b.leases)) == (arrivals, False)
        await watching.aclose()


async def test_what_happens_is_shown_at_once(tmp_path: Path) -> None:
    async with sampled(tmp_path) as (b, sampler, _):
        watching = sampler.watch(LONG)
        seen = [(await anext(watching)).report.state]
        coming = asyncio.create_task(until(watching, "running", seen))
        await b.builder.wake()
        async with asyncio.timeout(30):
            await coming
        assert seen[0] == "stopped"
        await watching.aclose()


async def until(watching: AsyncIterator[Sample], state: str, seen: list[str]) -> None:
    while seen[-1] != state:
        seen.append((await anext(watching)).report.state)


async def test_a_guest_that_talks_nonsense_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sampled(tmp_path) as (b, sampler, _):
        await up(b)
        for nonsense in ("", "cpu\n", look.answer("x").partition(" (sh)")[0] + " (sh) S 1 2", "own\x00"):
            monkeypatch.setattr(look, "answer", lambda *_, nonsense=nonsense: nonsense)
            monkeypatch.setattr(sampler, "_seen_at", 0.0)
            assert (await sampler.sample()).builds is None


async def test_a_guest_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PATIENCE", 0.0)
    async with sampled(tmp_path) as (b, sampler, _):
        await up(b)
        b.driver.fate.silent = {"agent"}
        sample = await sampler.sample()
        assert sample.report.state == "running"
        assert sample.builds is None
        b.driver.live[0].end(clean=True)
