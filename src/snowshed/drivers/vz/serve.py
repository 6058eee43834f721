"""The helper at work: requests in, answers and events out, until the VM is gone.

It ends with its VM, and with its supervisor: when the other end of the channel closes, nobody could reach or stop the
guest any more, so its plug is pulled.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any

import msgspec

from ... import __version__
from ...network.card import DeadEnd
from .assemble import Inherited, assemble
from .configuration import configuration
from .framework import Framework, FrameworkError
from .machine import Machine
from .messages import (
    PROTOCOL,
    Answer,
    Balloon,
    Closed,
    Connect,
    Connected,
    Done,
    Ended,
    Failed,
    Happened,
    Hello,
    Pause,
    Request,
    RequestStop,
    Resume,
    Save,
    Start,
    Started,
    Stop,
    Wish,
    decode_request,
    encode,
)
from .wire import Wire, WireError

SIGTERM_GRACE = 20.0
"""Seconds that a guest has to shut down when somebody ends the helper by a signal."""
LAST_WORDS = 1.0
"""Seconds for answers that are under way when the VM ends."""
STOP_PATIENCE = 5.0
"""Seconds for the framework to pull the plug: the guest goes with this process anyway."""

_NAMES: dict[Any, str] = {
    Start: "start",
    Pause: "pause",
    Resume: "resume",
    Save: "save",
    RequestStop: "power button",
    Stop: "stop",
    Connect: "vsock connection",
    Balloon: "balloon",
}


class Helper:
    """One VM and the channel to its supervisor."""

    def __init__(self, framework: Framework, channel: socket.socket) -> None:
        self._framework = framework
        self._wire = Wire(channel)
        self._machine: Machine | None = None
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead_end: DeadEnd | None = None

    async def run(self) -> None:
        """Serve until the VM or the supervisor is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self._spawn(self._shut_down(), "shut down"))
        await self._say(Hello(PROTOCOL, __version__, os.getpid()))
        reader = asyncio.create_task(self._read(), name="read requests")
        await self._over.wait()
        loop.remove_signal_handler(signal.SIGTERM)
        reader.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)
        if self._machine is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._machine.let_go(), STOP_PATIENCE)

    async def _read(self) -> None:
        with suppress(OSError):
            while line := await self._wire.read_line():
                try:
                    request = decode_request(line)
                except msgspec.MsgspecError as error:
                    raise WireError(f"no request: {error}") from error
                self._spawn(self._answer(request), f"answer {type(request).__name__}")
        await self._pull_the_plug()
        self._over.set()

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, answer: Answer, descriptor: int | None = None) -> None:
        with suppress(OSError):  # nobody listens any more: `_read` finds that out
            await self._wire.send(encode(answer), descriptor)

    async def _answer(self, request: Request) -> None:
        if isinstance(request, Closed):
            await self._close(request.connection)
            return
        try:
            await self._carry_out(request)
        except FrameworkError as error:
            await self._fail(request, error.domain, error.code, error.text, error.reason)
        except Exception as error:
            traceback.print_exc()
            await self._fail(request, "python", 0, f"{type(error).__name__}: {error}")
        if isinstance(request, Stop):
            self._over.set()

    async def _close(self, connection: int) -> None:
        try:
            if self._machine is not None:
                await self._machine.closed(connection)
        except Exception as error:
            traceback.print_exc()
            await self._say(Happened(f"A connection to the guest could not be closed: {error}."))

    async def _fail(self, request: Wish, domain: str, code: int, text: str, reason: str = "") -> None:
        await self._say(Failed(request.id, _NAMES[type(request)], domain, code, text, reason))

    async def _carry_out(self, request: Wish) -> None:
        if isinstance(request, Start):
            await self._start(request)
            return
        machine = self._machine
        if machine is None:
            raise FrameworkError("VZErrorDomain", 3, "there is no VM yet")
        if isinstance(request, Connect):
            number, descriptor = await machine.connect(request.port)
            try:
                await self._say(Connected(request.id, number), descriptor)
            finally:
                os.close(descriptor)
            return
        if isinstance(request, Save):
            await machine.save(request.file)
        elif isinstance(request, Balloon):
            await machine.balloon(request.target)
        elif isinstance(request, Pause):
            await machine.pause()
        elif isinstance(request, Resume):
            await machine.resume()
        elif isinstance(request, RequestStop):
            await machine.request_stop()
        elif isinstance(request, Stop):
            await asyncio.wait_for(machine.stop(), STOP_PATIENCE)
        await self._say(Done(request.id))

    async def _start(self, request: Start) -> None:
        wanted = configuration(request.spec, request.mac, exists=lambda path: path.exists())
        if wanted.card == "dead-end":
            self._dead_end = DeadEnd()
        card = self._dead_end.card.fileno() if self._dead_end else None
        assembled = assemble(self._framework, wanted, Inherited(request.console, card), request.identifier)
        os.close(request.console)
        machine = Machine(self._framework, assembled, self._reported)
        await machine.make()
        self._machine = machine
        if request.restore is None:
            await machine.start()
        else:
            await machine.restore(request.restore)
        started = Started(
            request.id, assembled.identifier, assembled.suspend, assembled.blocker, tuple(assembled.notes)
        )
        await self._say(started)

    def _reported(self, event: Ended | Happened) -> None:
        self._spawn(self._pass_on(event), "pass on an event")

    async def _pass_on(self, event: Ended | Happened) -> None:
        await self._say(event)
        if isinstance(event, Ended):
            self._over.set()

    async def _shut_down(self) -> None:
        """SIGTERM: the power button, a while, and the plug."""
        if self._machine is not None:
            with suppress(FrameworkError, TimeoutError):
                await self._machine.request_stop()
                await asyncio.wait_for(self._over.wait(), SIGTERM_GRACE)
        await self._pull_the_plug()
        await self._say(Ended(clean=False, detail="the helper was ended by a signal"))
        self._over.set()

    async def _pull_the_plug(self) -> None:
        if self._machine is not None and not self._over.is_set():
            with suppress(FrameworkError, TimeoutError):
                await asyncio.wait_for(self._machine.stop(), STOP_PATIENCE)


async def _serve(framework: Framework, descriptor: int) -> None:
    await Helper(framework, socket.socket(fileno=descriptor)).run()


def serve(framework: Framework, descriptor: int) -> None:
    """Serve the channel `descriptor` and end the process: Python's own way to end is not safe while a queue lives."""
    status = 0
    try:
        asyncio.run(_serve(framework, descriptor))
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
