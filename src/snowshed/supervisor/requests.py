"""What the control socket's requests do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from ..control.server import Answer
from ..errors import NotRunning
from ..model import wire
from ..model.lifecycle import State
from ..tasks import finish
from ..units import format_size
from .builder import Builder
from .collecting import Collecting
from .guest import COLLECT_SECONDS, GuestPanickedError
from .journal import Journal, offer
from .report import Reporter
from .sampling import Sampler


class Requests:
    """Answers requests by what the parts of the supervisor do."""

    def __init__(
        self,
        builder: Builder,
        collecting: Collecting,
        reporter: Reporter,
        sampler: Sampler,
        metrics: Callable[[], Awaitable[str]],
        journal: Journal,
        end: Callable[[], None],
    ) -> None:
        self._builder = builder
        self._collecting = collecting
        self._reporter = reporter
        self._sampler = sampler
        self._metrics = metrics
        self._journal = journal
        self._end = end

    def answer(self, request: wire.Request) -> Answer:
        """Events while the request is worked on, then its result."""
        builder = self._builder
        match request:
            case wire.Start():
                return self._start()
            case wire.Suspend(force):
                return self._following(builder.suspend(force=force))
            case wire.Pause(force):
                return self._following(builder.pause(force=force))
            case wire.Stop(force, grace):
                return self._stop(force, grace)
            case wire.Collect():
                return self._following(self._collect())
            case _:
                return self._tell(request)

    def _tell(self, request: wire.Question) -> Answer:
        """What changes nothing."""
        match request:
            case wire.Status():
                return self._report()
            case wire.Events():
                return self._events()
            case wire.History():
                return self._history(request)
            case wire.Watch(interval):
                return self._sampler.watch(interval)
            case wire.Metrics():
                return self._figures()

    async def _report(self) -> AsyncIterator[wire.Answerable]:
        yield await self._reporter.report()

    async def _figures(self) -> AsyncIterator[wire.Answerable]:
        yield wire.MetricsText(await self._metrics())

    async def _start(self) -> AsyncIterator[wire.Answerable]:
        """A wake that is under way already is told from its beginning."""
        state = self._builder.state
        if state in (State.STARTING, State.RESUMING):
            yield wire.Happening(time.time(), "state", f"The builder is {state}.", state=state)
        for stage in self._builder.stages if self._builder.ready_at is None else ():
            yield wire.Happening(
                time.time(), "stage", f"Reached {stage.stage}.", stage=stage.stage, seconds=stage.seconds
            )
        async for item in self._following(self._wake()):
            yield item

    async def _wake(self) -> None:
        """A person wants to know that Nix can build, not only that clients are let in.

        A kernel that panics between the two gets a second chance, as it has before (see `Launcher.boot`).
        """
        try:
            await (await self._builder.wake()).fully_up()
        except GuestPanickedError:
            self._journal.say("It is started once more.")
            await (await self._builder.wake()).fully_up()

    async def _collect(self) -> None:
        """Collect garbage in the guest, which is awake meanwhile: woken if it sleeps, not started if it is stopped."""
        if self._builder.state in (State.STOPPED, State.FAILED):
            raise NotRunning("The builder's guest is not running.", "Start it with `snowshed start`.")
        async with self._collecting.alone():
            guest = await self._builder.wake()
            before = self._reporter.allocated
            said = await guest.unless_gone(guest.collect(), COLLECT_SECONDS + 60, "it had collected garbage")
            await self._reporter.look_at_disk()
            freed = format_size(max(0, before - self._reporter.allocated))
            self._journal.say(f"Garbage is collected: {said}. The disk image takes {freed} less of the host.")

    async def _following(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[wire.Answerable]:
        """Everything that happens while `work` is done, then a report. What is at work settles if the client leaves."""
        with self._journal.follow() as happenings:
            task = asyncio.create_task(work, name="request")
            task.add_done_callback(lambda _: offer(happenings, None))
            try:
                while (happening := await happenings.get()) is not None:
                    yield happening
                task.result()
            finally:
                task.cancel()
                await finish(_gathered(task), name="let go")
        yield await self._reporter.report()

    async def _stop(self, force: bool, grace: float | None) -> AsyncIterator[wire.Answerable]:
        async for item in self._following(self._end_for_good(force, grace)):
            yield item
        self._end()

    async def _end_for_good(self, force: bool, grace: float | None) -> None:
        await finish(self._builder.stop(force=force, grace=grace), name="stop")
        await self._builder.forget()

    async def _events(self) -> AsyncIterator[wire.Answerable]:
        with self._journal.follow() as happenings:
            while (happening := await happenings.get()) is not None:
                yield happening

    async def _history(self, wanted: wire.History) -> AsyncIterator[wire.Answerable]:
        """What comes is collected before the file is read, so that nothing is missed in between, and nothing twice."""
        with self._journal.follow() as happenings:
            for past in self._journal.past(wanted.lines, wanted.kinds):
                yield past
            while wanted.follow and (happening := await happenings.get()) is not None:
                if happening.kind in (wanted.kinds or wire.KEPT):
                    yield happening


async def _gathered(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)
