"""Builder: owns the lifecycle. Whatever wakes, pauses, suspends or stops the VM goes through here.

One operation at a time (`_turn`); one wake, whoever asks (`_waking`). A wake runs in a task of its own, so that a
client that gives up takes nothing down with it. Operations that put the guest to sleep look between their steps
whether somebody wants it (`_wanted`), and take themselves back: a connection always wins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress

from ..errors import NotRunning, SnowshedError, UserError
from ..model.lifecycle import Event, State, next_state
from ..model.wire import Failure, StageTime
from ..tasks import finish
from .backoff import Backoff
from .growth import growing
from .guest import GuestGoneError, LiveGuest
from .idle import Leases
from .journal import Journal
from .launch import Launcher, explain
from .restoring import restored
from .suspension import Suspension, UnsavedError
from .upkeep import settle_in, tidied


class Builder:
    """The life of one builder's VM, from the first wake to the last stop."""

    def __init__(
        self,
        launcher: Launcher,
        leases: Leases,
        journal: Journal,
        suspension: Suspension,
        tasks: asyncio.TaskGroup,
        backoff: Backoff,
    ) -> None:
        self._launcher = launcher
        self._leases = leases
        self._journal = journal
        self._suspension = suspension
        self._tasks = tasks
        self._turn = asyncio.Lock()
        self._waking: asyncio.Future[LiveGuest] | None = None
        self._wake_task: asyncio.Task[None] | None = None
        self._backoff = backoff
        self._began = 0.0
        self._ending = False
        self._arrivals = 0
        self._changed = asyncio.Event()
        suspension.sweep()
        self.state = State.SUSPENDED if suspension.exists else State.STOPPED
        self.guest: LiveGuest | None = None
        self.failure: Failure | None = None
        self.stages: list[StageTime] = []
        self.started_at: float | None = None
        self.ready_at: float | None = None

    # --- what others ask for -------------------------------------------------------------------------------------

    async def wake(self, *, patient: bool = False) -> LiveGuest:
        """The running guest, started or woken if need be. Raises `SnowshedError` with what went wrong.

        `patient`: after a failure wait for the back-off to pass (connections); otherwise try at once (a person).
        """
        if self._waking is None and self.guest is not None and self.is_running(self.guest):
            return self.guest
        if self._waking is None:
            self._waking = asyncio.get_running_loop().create_future()
            self._wake_task = self._tasks.create_task(self._wake(self._waking, patient), name="wake")
        return await asyncio.shield(self._waking)

    async def pause(self, *, force: bool = False) -> None:
        """Stop the processors and keep the memory. Raises `UserError` while something uses the guest."""
        next_state(self.state, Event.PAUSE)
        async with self._turn:
            if self._refuses(Event.PAUSE, State.PAUSED, force):
                return
            guest = self._begin(Event.PAUSE)
            await self._settle(guest, self._pause(guest))

    async def suspend(self, *, force: bool = False) -> None:
        """Write the memory to disk and end the VM. Raises `UserError` while something uses the guest."""
        next_state(self.state, Event.SUSPEND)
        blocker = self._launcher.capabilities().suspend_blocker
        if blocker:
            raise UserError(f"This builder cannot be suspended: {blocker}.", "`snowshed stop` and `pause` work.")
        async with self._turn:
            if self._refuses(Event.SUSPEND, State.SUSPENDED, force):
                return
            was_paused = self.state is State.PAUSED
            guest = self._begin(Event.SUSPEND)
            await self._settle(guest, self._suspend(guest, was_paused=was_paused))

    async def rest(self) -> None:
        """Stop the VM because nobody uses it; unless somebody does by now. The supervisor goes on listening."""
        async with self._turn:
            if self.state not in (State.RUNNING, State.PAUSED) or self._leases or self._waking is not None:
                return
            await self._stop(self._launcher.config.stop_grace)

    async def stop(self, *, force: bool = False, grace: float | None = None) -> None:
        """End the VM for good: no wake succeeds afterwards. A suspended guest stays suspended."""
        self._ending = True
        if force and self.guest is not None and self._turn.locked():
            await self.guest.kill()
        if self._wake_task is not None:
            self._wake_task.cancel()
        async with self._turn:
            if self.guest is not None and self.state in (State.RUNNING, State.PAUSED):
                patience = self._launcher.config.stop_grace if grace is None else grace
                await self._stop(0.0 if force else patience)

    async def forget(self) -> None:
        """Discard suspended memory: the next start is a cold boot. What builds wrote was synced before the suspend."""
        async with self._turn:
            if self.state is State.SUSPENDED:
                self._suspension.discard()
                self._to(Event.STOP)

    # --- who watches ---------------------------------------------------------------------------------------------

    async def running(self) -> LiveGuest:
        """The guest, as soon as there is one that runs."""
        while self.state is not State.RUNNING or self.guest is None:
            self._changed.clear()
            await self._changed.wait()
        return self.guest

    def is_running(self, guest: LiveGuest) -> bool:
        """Whether `guest` is the one that runs now, and no operation is at work on it."""
        return self.state is State.RUNNING and self.guest is guest and not guest.ended.done()

    async def condemn(self, guest: LiveGuest, error: SnowshedError) -> None:
        """End a guest that is of no use any more; `error` is why. Nothing happens if it does not run by now."""
        async with self._turn:
            if self.is_running(guest):
                await finish(guest.kill(), name="condemn")
                self._fail(Event.BROKEN, error, guest)

    # --- waking --------------------------------------------------------------------------------------------------

    async def _wake(self, waking: asyncio.Future[LiveGuest], patient: bool) -> None:
        """Bring the guest up and tell everybody who waits; contains every error."""
        try:
            if patient and self.state is State.FAILED:
                await asyncio.sleep(self._backoff.remaining(time.monotonic()))
            async with self._turn:
                guest = await self._awake()
        except asyncio.CancelledError:
            self._waking = None
            waking.set_exception(NotRunning("The builder is being stopped.", "Start it again with `snowshed start`."))
        except Exception as error:
            self._waking = None
            waking.set_exception(explain(error))
        else:
            self._waking = None
            self._leases.arm()
            waking.set_result(guest)
        waking.exception()  # everybody may have left: then nobody retrieves it

    async def _awake(self) -> LiveGuest:
        if self._ending:
            raise NotRunning("The builder is being stopped.", "Start it again with `snowshed start`.")
        self._began = time.monotonic()
        if self.state is State.SUSPENDED:
            await self._restore()
        elif self.state is State.PAUSED:
            guest = self._begin(Event.WAKE)
            await self._settle(guest, self._unpause(guest))
        if self.state in (State.STOPPED, State.FAILED):
            await self._boot(Event.WAKE)
        assert self.guest is not None, self.state
        return self.guest

    async def _boot(self, event: Event) -> None:
        self._to(event)
        self.stages.clear()
        self.started_at, self.ready_at = time.time(), None
        guest = await self._adopt(self._launcher.boot(self._reached))
        self._tasks.create_task(self._complete(guest), name="rest of the boot")

    async def _complete(self, guest: LiveGuest) -> None:
        """What a boot still has to do when clients are let in already; without it the guest is of no use."""
        try:
            await guest.fully_up()
            self.ready_at = time.time()
            await settle_in(guest, self._launcher)
        except GuestGoneError:
            return
        except SnowshedError as error:
            await self.condemn(guest, error)

    async def _restore(self) -> None:
        """Continue from suspended memory; where it does not fit or does not load, say so and boot cold."""
        self._to(Event.WAKE)
        began = time.time()
        try:
            self._suspension.check(self._launcher.fingerprint())
            await self._adopt(restored(self._launcher, self._suspension), cold_on_failure=True)
            self.started_at, self.ready_at = began, time.time()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._journal.say(f"{explain(error).message} It boots anew.", level="warning")
            self._suspension.discard()
            await self._boot(Event.COLD)
        else:
            forgotten = asyncio.to_thread(self._suspension.forget_used)
            self._tasks.create_task(forgotten, name="forget used memory")

    async def _adopt(self, coming: Awaitable[LiveGuest], *, cold_on_failure: bool = False) -> LiveGuest:
        """Take over the guest that `coming` brings; its failure is the builder's, unless a cold boot follows."""
        try:
            guest = await coming
        except asyncio.CancelledError:
            self._to(Event.STOP)
            self._to(Event.DONE)
            raise
        except Exception as error:
            if not cold_on_failure:
                self._fail(Event.BROKEN, explain(error))
            raise
        self.guest = guest
        self._backoff.succeeded()
        self.failure = None
        self._to(Event.DONE)
        self._tasks.create_task(self._watch(guest), name="watch guest")
        return guest

    async def _unpause(self, guest: LiveGuest) -> Event:
        await guest.unless_gone(guest.resume(), 30.0, "it continued")
        return Event.DONE

    # --- sleeping ------------------------------------------------------------------------------------------------

    async def _pause(self, guest: LiveGuest) -> Event:
        if self._wanted:
            return Event.GIVE_UP
        await guest.unless_gone(guest.pause(), 30.0, "it paused")
        return Event.DONE

    async def _suspend(self, guest: LiveGuest, *, was_paused: bool) -> Event:
        """The steps of a suspend; before each, a wake that waits wins."""
        if not was_paused:
            await tidied(guest, self._launcher.notes)
            if self._wanted:
                return Event.GIVE_UP
            await guest.unless_gone(guest.pause(), 30.0, "it paused")
        if not await self._saved(guest):
            self._suspension.abandon()
            await guest.unless_gone(guest.resume(), 30.0, "it continued")
            return Event.GIVE_UP
        await self._end(guest)
        spec = self._launcher.spec()
        disks = tuple(disk.path for disk in spec.disks)
        await asyncio.to_thread(self._suspension.commit, self._launcher.fingerprint(), disks)
        return Event.DONE

    async def _saved(self, guest: LiveGuest) -> bool:
        """Whether the memory is in the file now, and still nobody wants the guest."""
        if self._wanted:
            return False
        try:
            file = self._suspension.begin()
            async with growing(file, await self._held_memory(guest), self._tell_saved):
                saving = guest.unless_gone(guest.save(file), 600.0, "its memory was written")
                await self._suspension.take(saving, in_order=self._launcher.capabilities().saves_in_order)
        except GuestGoneError:
            raise
        except (SnowshedError, OSError) as error:
            why = explain(error, self._suspension.temporary)
            self._given_up: UserError = UnsavedError(f"It was not suspended and runs on: {why.message}", why.hint)
            self._journal.say(str(self._given_up), level="warning")
            return False
        return not self._wanted

    async def _held_memory(self, guest: LiveGuest) -> int:
        """About as many bytes as saving `guest` will write."""
        with suppress(SnowshedError, OSError):
            return (await guest.vm.memory()).resident or self._launcher.config.memory
        return self._launcher.config.memory

    def _tell_saved(self, fraction: float) -> None:
        self._journal.progress("Putting its memory on disk", fraction)

    async def _shut_down(self, guest: LiveGuest, grace: float, *, was_paused: bool) -> None:
        if grace > 0:
            exit_ = await guest.shut_down(grace, paused=was_paused)
            if not exit_.clean:
                self._journal.say(f"The guest was cut off: {exit_.detail}.", level="warning")
        else:
            await guest.kill()
        self.guest = None
        self._leases.disarm()
        self._to(Event.DONE)

    async def _stop(self, grace: float) -> None:
        was_paused = self.state is State.PAUSED
        guest = self._begin(Event.STOP)
        await finish(self._shut_down(guest, grace, was_paused=was_paused), name="stop")

    async def _end(self, guest: LiveGuest) -> None:
        self.guest = None
        self._leases.disarm()
        await guest.kill()

    # --- the table and its bookkeeping ---------------------------------------------------------------------------

    @property
    def _wanted(self) -> bool:
        """Whether somebody came for the guest since the operation at work began."""
        return self._waking is not None or self._leases.arrivals != self._arrivals

    def _refuses(self, event: Event, reached: State, force: bool) -> bool:
        """True if there is nothing to do any more. Raises `UserError` if it must not be done now."""
        if next_state(self.state, event) is reached:
            return True
        if self._leases and not force:
            raise UserError(
                f"The builder is in use: {', '.join(self._leases.reasons)}.",
                f"Use `snowshed {event} --force` if it must be.",
            )
        return False

    def _begin(self, event: Event) -> LiveGuest:
        """Enter the state in which the operation for `event` is at work on the live guest."""
        self._arrivals = self._leases.arrivals
        self._to(event)
        assert self.guest is not None
        return self.guest

    async def _settle(self, guest: LiveGuest, operation: Awaitable[Event]) -> None:
        """Run an operation to its end, cancelled or not, and leave its state by what it returned."""

        async def run() -> None:
            try:
                outcome = await operation
            except Exception as error:
                await guest.kill()
                self._fail(Event.BROKEN, explain(error), guest)
                raise
            self._to(outcome)
            if outcome is Event.GIVE_UP:
                raise self._given_up

        self._given_up = UserError(f"It was not {self.state}: somebody came for it.", "It runs on.")
        await finish(run(), name=f"{self.state}")

    async def _watch(self, guest: LiveGuest) -> None:
        """The end of a guest that no operation ended."""
        exit_ = await asyncio.shield(guest.ended)
        async with self._turn:
            if self.guest is not guest:
                return
            if exit_.clean and self.state is State.RUNNING:
                self.guest = None
                self._leases.disarm()
                self._to(Event.EXITED)
            else:
                self._fail(Event.BROKEN, explain(_crash(exit_.detail)), guest)

    def _to(self, event: Event) -> None:
        state = next_state(self.state, event)
        if state is not self.state:
            self.state = state
            self._changed.set()
            self._journal.state(state)

    def _fail(self, event: Event, error: SnowshedError, guest: LiveGuest | None = None) -> None:
        stage = self.stages[-1].stage if self.stages and self.ready_at is None else ""
        console = guest.console_tail if guest is not None else ()
        self.failure = Failure(error.message, error.hint, stage, time.time(), console)
        self.guest = None
        self._leases.disarm()
        self._backoff.failed(time.monotonic())
        self._journal.say(str(error), level="error")
        self._to(event)

    def _reached(self, stage: str) -> None:
        seconds = time.monotonic() - self._began
        self.stages = [earlier for earlier in self.stages if earlier.stage != stage]
        self.stages.append(StageTime(stage, round(seconds, 3)))
        self._journal.stage(stage, seconds)


def _crash(detail: str) -> SnowshedError:
    from ..errors import GuestError

    return GuestError(
        f"The virtual machine ended unexpectedly: {detail}.", "`snowshed logs --console` has its last words."
    )
