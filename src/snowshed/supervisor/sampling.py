"""The builder's figures, for whoever watches: what the host knows at once, and what a look into the guest tells.

Nobody watches, nothing is looked at. Watching keeps no guest awake and wakes none. One look is shared by all who
watch; a guest that takes long to answer holds nobody up: its last answer is shown until the next one is there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ..guest.look import Look
from ..model.wire import Report, RunningBuild, Sample
from .builder import Builder
from .forwarder import Forwarder
from .guest import LiveGuest

SHORTEST = 0.25
"""Seconds between two samples, however much happens."""
PATIENCE = 1.5
"""Seconds for a guest to answer, before a sample is given without."""
FRESH = 1.0
"""Seconds for which one look serves everybody."""
STALE = 30.0
"""Seconds after which what a guest said once says nothing any more."""


class Sampler:
    """Takes samples. `tasks` owns the looks, which contain every error."""

    def __init__(
        self,
        builder: Builder,
        forwarder: Forwarder,
        report: Callable[[], Awaitable[Report]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._builder = builder
        self._forwarder = forwarder
        self._report = report
        self._tasks = tasks
        self._looking: asyncio.Task[None] | None = None
        self._seen: Look | None = None
        self._seen_at = 0.0
        self._built: int | None = None
        self._watchers: set[asyncio.Event] = set()

    def stir(self) -> None:
        """Something happened: whoever watches sees it now."""
        for watcher in self._watchers:
            watcher.set()

    async def watch(self, interval: float) -> AsyncIterator[Sample]:
        """A sample every `interval` seconds, and whenever something happens."""
        stirred = asyncio.Event()
        self._watchers.add(stirred)
        try:
            while True:
                stirred.clear()
                yield await self.sample()
                await asyncio.sleep(SHORTEST)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stirred.wait(), max(0.0, interval - SHORTEST))
        finally:
            self._watchers.discard(stirred)

    async def sample(self) -> Sample:
        """The figures as they are now."""
        look = await self.look()
        report = await self._report()
        guest = self._builder.guest
        own = processor_seconds(guest.vm.pid) if guest is not None else None
        return Sample(
            at=time.time(),
            report=_completed(report, look),
            processor=own if sys.platform == "linux" else (look.processor if look else None),
            to_guest=self._forwarder.traffic.to_guest,
            from_guest=self._forwarder.traffic.from_guest,
            served=self._forwarder.served,
            built=self._built,
            builds=None if look is None else tuple(_running(look)),
        )

    async def look(self) -> Look | None:
        """What the guest is at; None where there is none that is up, or it has not said so for a while."""
        guest = self._builder.guest
        if guest is None or not self._builder.is_running(guest) or self._builder.ready_at is None:
            self._seen = None
            return None
        if self._looking is None and time.monotonic() - self._seen_at > FRESH:
            self._looking = self._tasks.create_task(self._look(guest), name="look into the guest")
        if self._looking is not None:
            await asyncio.wait((self._looking,), timeout=PATIENCE)
        return self._seen if time.monotonic() - self._seen_at < STALE else None

    async def _look(self, guest: LiveGuest) -> None:
        try:
            self._seen = await guest.look()
            self._built = self._seen.logs
            self._seen_at = time.monotonic()
        except Exception:  # whatever a guest answers or does not: the watchdog is there for that
            pass
        finally:
            self._looking = None


def _completed(report: Report, look: Look | None) -> Report:
    """The host's report with what only the guest knows."""
    if look is None:
        return report
    disk = report.disk and msgspec.structs.replace(report.disk, used=look.disk_used, used_at=time.time())
    memory = report.memory and msgspec.structs.replace(report.memory, guest_free=look.available)
    return msgspec.structs.replace(report, disk=disk, memory=memory)


def _running(look: Look) -> list[RunningBuild]:
    return [RunningBuild(b.name, b.seconds, b.processor, b.memory, b.processes) for b in look.builds]


def processor_seconds(pid: int) -> float | None:
    """Seconds of processors that process `pid` has used, its threads included: fields 14 and 15 of ``/proc/PID/stat``
    (proc(5)). None where it is gone, or there is no ``/proc``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
