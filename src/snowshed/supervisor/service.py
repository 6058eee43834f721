"""A supervisor's parts, put together and kept alive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from ..config import BuilderConfig
from ..control.server import ControlServer
from ..drivers.base import Driver
from ..errors import SnowshedError
from ..guest import shortage
from ..guest.seed import collection_limits
from ..paths import BuilderPaths
from ..state import leave_runtime
from . import hostclock, metrics
from .afterwards import Afterwards
from .backoff import Backoff
from .builder import Builder
from .collecting import Collecting
from .exposition import Exposition
from .forwarder import Forwarder
from .giving_back import GivingBack
from .guest import LiveGuest
from .idle import Leases
from .journal import Journal
from .launch import Launcher
from .plan import Source
from .report import Reporter
from .requests import Requests
from .resting import Resting
from .sampling import Sampler
from .shortages import Shortages
from .suspension import Suspension
from .tally import Tally
from .watchdog import Watchdog


class _EndedError(Exception):
    """Ends the task group of everything that serves somebody."""


class Service:
    """One builder, served: on its SSH listeners, its control socket, and at its idle deadline."""

    def __init__(
        self,
        paths: BuilderPaths,
        config: BuilderConfig,
        source: Source,
        driver: Driver,
        listeners: Sequence[socket.socket],
        control: socket.socket,
        port: int,
        *,
        on_demand: bool,
        metrics_listener: socket.socket | None = None,
    ) -> None:
        self._paths = paths
        self._config = config
        self._source = source
        self._driver = driver
        self._listeners = listeners
        self._control = control
        self._port = port
        self._on_demand = on_demand
        self._metrics_listener = metrics_listener
        self._asked_to_end = asyncio.Event()

    def end(self) -> None:
        """Stop the guest and end: what a signal asks for."""
        self._asked_to_end.set()

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until the end; `ready` is called once everything listens. Returns the exit status."""
        async with asyncio.TaskGroup() as machines:
            self._assemble(machines)
            self._journal.say(f"The supervisor of {self._paths.name} listens on port {self._port}.")
            ready()
            try:
                async with asyncio.TaskGroup() as servants:
                    self._serve(servants)
                    await self._asked_to_end.wait()
                    await self._builder.stop()
                    raise _EndedError
            except* _EndedError:
                pass
        self._leave()
        return 0

    def _assemble(self, machines: asyncio.TaskGroup) -> None:
        self._journal = journal = Journal(self._paths.events)
        self._leases = Leases(
            self._config.idle.timeout, lambda: self._rest(machines), lambda: self._give_back(machines)
        )
        shortages = Shortages(lambda: self._builder.guest, journal, machines)
        hears = {shortage.MARK: shortages.hear}
        self._launcher = Launcher(self._config, self._paths, self._source, self._driver, machines, journal.say, hears)
        capabilities = self._launcher.capabilities()
        self._builder = Builder(self._launcher, self._leases, journal, Suspension(self._paths), machines, Backoff())
        self._collecting = Collecting(self._builder, self._leases, journal, *collection_limits(self._config))
        afterwards = Afterwards((shortages.look, self._collecting.look), machines)
        self._forwarder = Forwarder(
            self._leases, self._guest_for_clients, on_change=self._stir, on_end=afterwards.client_left
        )
        self._resting = Resting(self._config.idle.action, lambda: capabilities, self._builder, self._leases, journal)
        self._giving_back = GivingBack(self._builder, self._leases, journal, useful=capabilities.reclaims)
        self._reporter = Reporter(
            self._launcher,
            self._builder,
            self._forwarder,
            self._leases,
            self._resting,
            shortages,
            capabilities,
            self._port,
        )
        self._sampler = Sampler(self._builder, self._forwarder, self._reporter.report, machines)
        self._tally = Tally(self._builder.state)
        journal.listeners += [self._tally.heard, lambda _: self._stir()]

    async def _guest_for_clients(self) -> LiveGuest:
        """Awake, and not just at deleting what a client is told is there."""
        guest = await self._builder.wake(patient=True)
        await self._collecting.done()
        return guest

    async def _metrics(self) -> str:
        return metrics.text(await self._sampler.sample(), self._tally)

    def _stir(self) -> None:
        """Whoever watches is shown what has changed."""
        self._sampler.stir()

    def _rest(self, machines: asyncio.TaskGroup) -> None:
        machines.create_task(self._resting.rest(), name="rest")

    def _give_back(self, machines: asyncio.TaskGroup) -> None:
        machines.create_task(self._giving_back.give_back(), name="give memory back")

    def _serve(self, servants: asyncio.TaskGroup) -> None:
        for listener in self._listeners:
            servants.create_task(self._forwarder.serve(listener, servants), name="forwarder")
        requests = Requests(
            self._builder, self._collecting, self._reporter, self._sampler, self._metrics, self._journal, self.end
        )
        control = ControlServer(self._paths.name, requests.answer)
        servants.create_task(control.serve(self._control, servants), name="control")
        if self._metrics_listener is not None:
            exposition = Exposition(self._metrics)
            servants.create_task(exposition.serve(self._metrics_listener, servants), name="metrics")
        watchdog = Watchdog(self._config.watchdog, self._builder, self._journal)
        servants.create_task(self._contain(watchdog.watch()), name="watchdog")
        servants.create_task(self._contain(hostclock.watch(self._set_clock)), name="host clock")
        if not self._on_demand:
            servants.create_task(self._first_wake(), name="first wake")

    async def _contain(self, watching: Coroutine[Any, Any, None]) -> None:
        """Whoever only watches takes nothing down with it when it fails."""
        try:
            await watching
        except Exception as error:
            self._journal.say(f"A watcher ended: {type(error).__name__}: {error}", level="error")

    async def _first_wake(self) -> None:
        with suppress(SnowshedError):
            await self._builder.wake()

    async def _set_clock(self) -> None:
        """The host slept, or its clock was set: the guest's has to follow. One that is asleep is set when it wakes."""
        guest = self._builder.guest
        if guest is None or not self._builder.is_running(guest):
            return
        try:
            await guest.set_clock()
            self._journal.say("The host's clock jumped; the guest's clock was set.")
        except (SnowshedError, OSError) as error:
            self._journal.say(f"The guest's clock could not be set: {error}", level="warning")

    def _leave(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._control.close()
        if self._metrics_listener is not None:
            self._metrics_listener.close()
        self._paths.control.unlink(missing_ok=True)
        leave_runtime(self._paths)
        self._paths.vm_pid.unlink(missing_ok=True)
        self._journal.say("The supervisor ends.")
        self._journal.close()
