"""A live VM as the builder sees it: stages, the way in, the agent, and its end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..drivers.base import Exit, Pausable, Suspendable, Vm
from ..errors import Bug, GuestError, SnowshedError
from ..guest import disk
from ..guest.agent import Agent
from ..guest.contract import contract
from ..guest.look import SCRIPT, Look, parse
from ..units import KIB
from .console import Console
from .early import EarlyConnection
from .stages import Stages

T = TypeVar("T")

_COUNT_BUILDS = (
    "n=0; for s in /proc/[0-9]*/status; do "
    'while read -r key uid _; do if [ "$key" = Uid: ] && [ "$uid" -gt 30000 ] && [ "$uid" -le 31000 ]; '
    "then n=$((n+1)); fi; done 2>/dev/null < $s; done; echo $n"
)
"""Counts the processes of Nix's build users, who have the ids 30001 to 31000 in both guests."""

DROP_CACHE = """
cache() {
    while read -r name size _; do
        case $name in
        MemTotal:) total=$size ;;
        Cached:) cached=$size ;;
        Shmem:) cached=$((cached - size)) ;;
        esac
    done </proc/meminfo
}
cache
before=$cached
if [ $before -gt $((total / 8)) ]; then
    sync
    echo 1 >/proc/sys/vm/drop_caches
    echo 1 >/proc/sys/vm/compact_memory
    cache
fi
echo $((before - cached))
"""
"""Frees what is only a copy of the disk's contents, where it is worth while, in pieces as large as those in which free
memory is reported to the host (2 MiB). Prints how many KiB."""

COLLECT_SECONDS = 3600.0
"""For a large store on a slow disk."""

STAGE_PATIENCE = 300.0
"""Seconds for one stage of a boot: emulated guests with a large disk to check are slow, and nothing is gained by
giving up early."""

LAST_BREATH = 0.5
"""Seconds between the first sign of a VM's end and its last."""


class GuestGoneError(GuestError):
    """The VM ended while something was waiting for it."""


class GuestPanickedError(GuestGoneError):
    """It ended because the guest's kernel gave up."""


class LiveGuest:
    """A VM that has been started, until it is gone."""

    def __init__(self, vm: Vm, console: Console, stages: Stages, tasks: asyncio.TaskGroup) -> None:
        self.vm = vm
        self.stages = stages
        self._console = console
        self._agent: Agent | None = None
        self._agent_turn = asyncio.Lock()
        self._tasks = tasks
        self._early: EarlyConnection | None = None
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        tasks.create_task(self._watch(), name="watch VM")

    async def _watch(self) -> None:
        exit_ = await self.vm.wait()
        self._console.close()
        if self._early is not None:
            self._early.close()
        if self._agent is not None:
            with suppress(SnowshedError, OSError):
                await self._agent.close()
        if not self.ended.done():
            self.ended.set_result(exit_)

    @property
    def console_tail(self) -> tuple[str, ...]:
        return tuple(self._console.tail)

    async def unless_gone(self, wanted: Awaitable[T], patience: float, what: str) -> T:
        """The result of `wanted`; raises `GuestError` if the VM ends first, or after `patience` seconds."""
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait((task, self.ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not await self._failed_by_end(task):
                return task.result()
            if self.ended.done():
                exit_ = self.ended.result()
                kind = GuestPanickedError if exit_.panicked else GuestGoneError
                raise kind(f"The VM ended before {what}: {exit_.detail}.")
            raise GuestError(f"The guest took more than {patience:.0f} s: still waiting until {what}.")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    async def _failed_by_end(self, task: asyncio.Future[T]) -> bool:
        """Whether `task` failed because the VM is ending: its sockets may tell before its process is gone."""
        if task.cancelled() or task.exception() is None:
            return False
        await asyncio.wait((self.ended,), timeout=LAST_BREATH)
        return self.ended.done()

    async def reached(self, *stages: str) -> None:
        """Return when the guest has announced all of `stages`. Raises `GuestError`."""
        for stage in stages:
            await self.unless_gone(self.stages.wait(stage), STAGE_PATIENCE, f"it reached {stage}")

    async def fully_up(self) -> None:
        """Return when the guest has announced its last stage: its Nix daemon answers. Raises `GuestError`."""
        await self.reached(*contract().stages)

    async def connect(self) -> socket.socket:
        """A connection to the guest's sshd."""
        early = await self._early.take() if self._early is not None else None
        if early is not None:
            return early
        return await self._dial()

    async def _dial(self) -> socket.socket:
        return await self.vm.connect(contract().ports.ssh)

    async def agent(self) -> Agent:
        """The guest agent, connected at its first use."""
        async with self._agent_turn:
            if self._agent is None:
                self._agent = await Agent.connect(await self.vm.agent())
            return self._agent

    async def pause(self) -> None:
        """Stop the guest's processors."""
        await self._pausable().pause()

    async def resume(self) -> None:
        """Continue a paused guest and set its clock. Only then may anything be forwarded to it."""
        await self._pausable().resume()
        self._early = EarlyConnection(self._dial, self._tasks)
        await self.set_clock()

    async def save(self, file: Path) -> None:
        """Write the memory of the paused guest into `file`. Raises `GuestError`; it can be resumed then."""
        if not isinstance(self.vm, Suspendable):
            raise Bug("A VM that cannot be suspended was to be saved.")
        await self.vm.save(file)

    def _pausable(self) -> Pausable:
        if not isinstance(self.vm, Pausable):
            raise Bug("A VM that cannot be paused was to be paused or resumed.")
        return self.vm

    async def set_clock(self) -> None:
        """Set the guest's clock to the host's, as that is when the agent is ready to listen."""
        known = self._agent is not None
        agent = await self.agent()
        if known:  # a new one has just answered
            await agent.ping()
        await agent.set_time(time.time())

    async def clock_ahead(self) -> float:
        """Seconds that the guest's clock is ahead of the host's at least, negative where it is behind."""
        agent = await self.agent()
        asked = time.time()
        there = await agent.time()
        return max(0.0, there - time.time()) + min(0.0, there - asked)

    async def builds(self) -> int:
        """Processes of builds that run in the guest, whether or not anybody is connected."""
        answer = await (await self.agent()).run(["/bin/sh", "-c", _COUNT_BUILDS])
        return int(answer.strip() or 0)

    async def look(self) -> Look:
        """What the guest is at just now. Raises `GuestError`, or `ValueError` for an answer that makes no sense."""
        return parse(await (await self.agent()).run(["/bin/sh", "-c", SCRIPT]))

    async def disk_used(self) -> int:
        """Bytes of the data disk's file system that are taken."""
        answer = await (await self.agent()).run(["/bin/sh", "-c", disk.USED], seconds=10.0)
        return used_of(answer)

    async def mark_disk(self, mark: str) -> None:
        """Write `mark`, a line, where the data disk has room for a boot loader."""
        await (await self.agent()).run(["/bin/sh", "-c", disk.MARK, "sh", mark])

    async def disk_free(self) -> int:
        """Bytes of the data disk's file system that builds can still take."""
        answer = await (await self.agent()).run(["/bin/sh", "-c", disk.FREE], seconds=10.0)
        return free_of(answer)

    async def tidy(self) -> int:
        """Write everything out, give freed blocks back to the host, and say what `disk_used` says."""
        return used_of(await (await self.agent()).run(["/bin/sh", "-c", disk.TIDY]))

    async def drop_cache(self) -> int:
        """Free the memory that holds nothing but copies of files; how many bytes that were."""
        return int((await (await self.agent()).run(["/bin/sh", "-c", DROP_CACHE])).strip() or 0) * KIB

    async def collect(self) -> str:
        """Delete what no build needs from the guest's store and give its blocks back; what Nix said of it."""
        return await self._collect(disk.COLLECT) or "nothing was deleted"

    async def collect_unless_busy(self, most: int) -> str:
        """Delete up to `most` bytes of garbage; what Nix said of it, empty where somebody else talks to it."""
        return await self._collect(disk.COLLECT_UNLESS_BUSY, "--max-freed", str(most))

    async def _collect(self, script: str, *options: str) -> str:
        argv = ["/bin/sh", "-c", script, "sh", *options]
        said = await (await self.agent()).run(argv, seconds=COLLECT_SECONDS)
        return said.strip().rpartition("\n")[2]

    async def shut_down(self, grace: float, *, paused: bool = False) -> Exit:
        """Have the guest shut itself down; pull the plug after `grace` seconds. Always ends the VM."""
        try:
            async with asyncio.timeout(grace):
                if paused:
                    await self._pausable().resume()
                await self._ask_to_stop()
                return await asyncio.shield(self.ended)
        except (TimeoutError, SnowshedError) as error:
            await self.kill()
            why = f"it did not shut down within {grace:.0f} s" if isinstance(error, TimeoutError) else str(error)
            return Exit(clean=False, detail=why)

    async def _ask_to_stop(self) -> None:
        """Through the agent where it answers, else by the power button: a direct-booted arm64 guest has none."""
        try:
            await (await self.agent()).shutdown()
        except (SnowshedError, OSError):
            with suppress(SnowshedError, OSError):
                await self.vm.request_stop()

    async def kill(self) -> None:
        """Pull the plug and return when the VM is gone."""
        await self.vm.kill()
        await asyncio.shield(self.ended)


def used_of(stat: str) -> int:
    """The bytes that are taken, from what `stat` said of a file system. Raises `GuestError` for anything else."""
    blocks, free, size = _figures(stat, 3)
    return (blocks - free) * size


def free_of(stat: str) -> int:
    """The bytes that are free, from what `stat` said of a file system. Raises `GuestError` for anything else."""
    free, size = _figures(stat, 2)
    return free * size


def _figures(stat: str, wanted: int) -> list[int]:
    words = stat.split()
    if len(words) != wanted or not all(word.isdigit() for word in words):
        raise GuestError(f"The guest does not say how full its disk is, but {stat.strip()[:80]!r}.")
    return [int(word) for word in words]
