"""Random lives of a builder: whatever comes in whatever order, the promises hold.

Never two machines; memory is used once; no guest is reached while paused or before its clock is set (the fake driver
watches these). A client that is connected keeps its machine unless that machine crashed or somebody forced it to
sleep. And whatever happened, the builder comes back to running.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from fakes.bench import Bench, bench
from fakes.driver import STAGES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snowshed.errors import SnowshedError
from snowshed.model.lifecycle import HAS_VM, State

STEPS = ("pause", "save", "resume", *STAGES)
FAILURES = ("start", "boot", "pause", "resume", "save", "load", "agent", "dies-at-boot")


class Client:
    """Connects, and stays until it is told to leave."""

    def __init__(self, made: Bench) -> None:
        self._bench = made
        self._leave = asyncio.Event()
        self.connected_at: int | None = None
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        with self._bench.leases.hold("connection"), suppress(SnowshedError, OSError):
            connection = await self._bench.connect()
            self.connected_at = self._bench.driver.starts
            await self._leave.wait()
            connection.close()

    def leave(self) -> None:
        self._leave.set()


class BuilderLife(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="builder-life-"))
        self.stack = AsyncExitStack()
        self.bench: Bench = self.runner.run(self.stack.enter_async_context(bench(self.folder)))
        self.clients: list[Client] = []
        self.wishes: list[asyncio.Task[object]] = []
        self.closed: list[str] = []
        self.disturbed_at = 0

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.settle()
            self.runner.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _spin(self, turns: int = 3) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    def _disturb(self) -> None:
        """From now on a connected client may have lost its machine."""
        self.disturbed_at = self.bench.driver.starts

    @rule()
    def connect(self) -> None:
        async def come() -> None:
            self.clients.append(Client(self.bench))
            await self._spin()

        self.runner.run(come())

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)

        async def go() -> None:
            client.leave()
            await self._spin()

        self.runner.run(go())

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)

        async def go() -> None:
            client.task.cancel()
            await asyncio.gather(client.task, return_exceptions=True)

        self.runner.run(go())

    @rule(verb=st.sampled_from(["suspend", "pause", "rest", "idle", "wake"]), force=st.booleans())
    def wish(self, verb: str, force: bool) -> None:
        if force and verb in ("suspend", "pause"):
            self._disturb()

        async def go() -> None:
            builder = self.bench.builder
            work = {
                "suspend": lambda: builder.suspend(force=force),
                "pause": lambda: builder.pause(force=force),
                "rest": builder.rest,
                "idle": self.bench.resting.rest,
                "wake": builder.wake,
            }[verb]
            self.wishes.append(asyncio.create_task(work()))
            await self._spin()

        self.runner.run(go())

    @rule(step=st.sampled_from(FAILURES))
    def doom(self, step: str) -> None:
        self.bench.driver.fate.failing.add(step)
        self._disturb()

    @rule(clean=st.booleans())
    def vm_ends(self, clean: bool) -> None:
        self._disturb()

        async def end() -> None:
            for vm in list(self.bench.driver.live):
                vm.end(clean=clean, detail="random")
            await self._spin()

        self.runner.run(end())

    @precondition(lambda self: len(self.closed) < 2)
    @rule(step=st.sampled_from(STEPS))
    def close_gate(self, step: str) -> None:
        if step not in self.closed:
            self.closed.append(step)
            self.runner.run(self._with(lambda: self.bench.driver.gates.close(step)))

    @precondition(lambda self: self.closed)
    @rule()
    def open_gate(self) -> None:
        self.runner.run(self._with(lambda: self.bench.driver.gates.open(self.closed.pop())))

    async def _with(self, act: object) -> None:
        act()  # type: ignore[operator]
        await self._spin()

    @rule(turns=st.integers(1, 40))
    def time_passes(self, turns: int) -> None:
        self.runner.run(self._spin(turns))

    @rule()
    def settle(self) -> None:
        """Nothing stands in the way any more: everything comes to rest, and the promises are looked at."""

        async def come_to_rest() -> None:
            while self.closed:
                self.bench.driver.gates.open(self.closed.pop())
            async with asyncio.timeout(60):
                await asyncio.gather(*self.wishes, return_exceptions=True)
                while any(c.connected_at is None and not c.task.done() for c in self.clients):
                    await asyncio.sleep(0.001)
                while self.bench.builder._waking is not None:  # of somebody who gave up; whoever comes joins it
                    await asyncio.sleep(0.001)
                await self._spin(50)
            self.wishes.clear()
            self.clients = [client for client in self.clients if not client.task.done()]

        self.runner.run(come_to_rest())
        for client in self.clients:
            assert client.connected_at is not None
            if client.connected_at > self.disturbed_at:
                assert self.bench.builder.state is State.RUNNING, "a connected client lost its machine"
                assert self.bench.driver.starts == client.connected_at

    @rule()
    def it_always_comes_back(self) -> None:
        self.settle()
        self.bench.driver.fate.failing.clear()
        self.runner.run(self._wake())
        assert self.bench.builder.state is State.RUNNING

    async def _wake(self) -> None:
        async with asyncio.timeout(60):
            await self.bench.builder.wake()

    @invariant()
    def nothing_forbidden_happened(self) -> None:
        if hasattr(self, "bench"):
            assert self.bench.driver.violations == []

    @invariant()
    def a_machine_only_lives_in_a_state_that_has_one(self) -> None:
        if hasattr(self, "bench") and self.bench.driver.live:
            assert self.bench.builder.state in HAS_VM

    @invariant()
    def a_failed_builder_says_why(self) -> None:
        if hasattr(self, "bench") and self.bench.builder.state is State.FAILED:
            assert self.bench.builder.failure is not None


BuilderLife.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestBuilderLife = BuilderLife.TestCase
