"""A live QEMU."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...child import Child
from ...errors import GuestError
from ...guest.contract import contract
from ...model.machine import EfiBoot, MachineSpec, Network
from ...tasks import finish
from ..base import Exit, Launch, MemoryFigures, Vm
from .channels import Channels
from .ending import PanicWatch, Story, ending
from .memory import resident, resident_with_children
from .migration import Migration
from .monitor import Event, Monitor, Refused
from .stall import Stall
from .stream import Stream
from .usernet import forwarded_port

CONNECT_SECONDS = 10.0
VSOCK_PAUSE = 10.0
PANIC_SECONDS = 10.0
"""For a panicked guest to restart itself, which ends it here."""
TOGETHER_SECONDS = 5.0
"""A daemon that ends so shortly before QEMU ended because of it."""


class QemuVm(Vm):
    """A QEMU process, the sockets to it, and the daemons that serve its shares.

    It is structurally `Pausable` and `Suspendable`. `daemons` serve its shares, by tag.
    """

    def __init__(
        self,
        spec: MachineSpec,
        launch: Launch,
        child: Child,
        channels: Channels,
        migration: Migration,
        daemons: Mapping[str, Child],
    ) -> None:
        self._spec = spec
        self._child = child
        self.daemons = daemons
        self._notice = launch.notice
        self._tasks = launch.tasks
        self._story = Story()
        self._panic = PanicWatch()
        self._take_console = launch.console
        self._channels = channels
        self._console = Stream(channels.console.detach(), self._hear)
        self._messages = Stream(channels.messages.detach(), lambda data: _write(launch.log, data))
        self._monitor: Monitor | None = None
        self._ports: dict[int, int] = {}
        self._vsock_from = 0.0
        self._migration = migration
        self._stall = Stall(spec.disks, self._notice, self._go_on)
        self._burial = asyncio.Lock()
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def greet(self) -> None:
        """Begin the conversation with QEMU. Raises `GuestError`; the caller ends the VM then."""
        self._tasks.create_task(self._watch(), name=f"watch QEMU {self.pid}")
        for tag, daemon in self.daemons.items():
            self._tasks.create_task(self._watch_share(tag, daemon), name=f"watch share {tag}")
        self._monitor = await Monitor.connect(self._channels.monitor, self._spec.name, self._handle)

    async def load(self, file: Path) -> None:
        """Load the memory that `save` wrote, leaving the VM paused. Raises `GuestError`."""
        self._stall.hold()
        await self._migration.load(self._talk(), file)

    async def find_ways_in(self) -> None:
        """Learn through which port of the host's loopback the guest's sshd is reached. Raises `GuestError`."""
        if self._channels.context is None or self._spec.network is not Network.NONE:
            await self._forward(contract().ports.ssh)

    @property
    def last_words(self) -> str:
        """The last that QEMU itself said."""
        return self._messages.tail

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def request_stop(self) -> None:
        await self._talk().execute("system_powerdown")

    async def kill(self) -> None:
        self._story.pulled = True
        await finish(self._bury(), name=f"kill QEMU {self.pid}")

    async def connect(self, port: int) -> socket.socket:
        if (peer := await self._through_vsock(port)) is not None:
            return peer
        host_port = self._ports.get(port) or await self._forward(port)
        try:
            return await _connect(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("127.0.0.1", host_port))
        except TimeoutError:
            raise GuestError(f"QEMU accepted no connection in {CONNECT_SECONDS:.0f} s.") from None

    async def _through_vsock(self, port: int) -> socket.socket | None:
        """A connection past the network card, or None where there is none to be had and the card has to do.

        A guest without vsock lets every attempt run into a time limit: after a failure the next one waits a while.
        """
        loop = asyncio.get_running_loop()
        card = self._spec.network is not Network.NONE
        if self._channels.context is None or (card and loop.time() < self._vsock_from):
            return None
        try:
            return await _connect(_vsock(), (self._channels.context, port))
        except (OSError, TimeoutError):
            if not card:
                raise GuestError(f"Nothing answers on the guest's vsock port {port}.") from None
            self._vsock_from = loop.time() + VSOCK_PAUSE
            return None

    async def agent(self) -> socket.socket:
        """See `Vm`. What is given out is a duplicate: closing it does not cut the channel."""
        if self._ended.done():
            raise GuestError("The VM is gone.")
        channel = self._channels.agent.dup()
        channel.setblocking(False)
        return channel

    async def memory(self) -> MemoryFigures:
        extra = {f"share {tag}": resident_with_children(daemon.pid) for tag, daemon in self.daemons.items()}
        return MemoryFigures(resident(self.pid), extra)

    async def pause(self) -> None:
        """Stop the processors. Raises `GuestError`."""
        self._stall.hold()
        await self._talk().execute("stop")

    async def resume(self) -> None:
        """Continue the processors. Raises `GuestError`."""
        await self._talk().execute("cont")
        self._stall.release()

    async def save(self, file: Path) -> None:
        """See `Suspendable`. Cancelled, it takes the migration back before it lets go."""
        await self._migration.save(self._talk(), file)

    def _talk(self) -> Monitor:
        if self._monitor is None or self._ended.done():
            raise GuestError("The VM is gone.")
        return self._monitor

    async def _forward(self, port: int) -> int:
        """The port of the host's loopback that leads to the guest's `port`, opened if need be."""
        monitor = self._talk()
        try:
            host_port = forwarded_port(await monitor.human("info usernet"), port)
        except GuestError:
            await monitor.human(f"hostfwd_add net tcp:127.0.0.1:0-:{port}")
            host_port = forwarded_port(await monitor.human("info usernet"), port)
        self._ports[port] = host_port
        return host_port

    def _handle(self, event: Event) -> None:
        """What QEMU reports, as it happens."""
        data: dict[str, Any] = event.get("data", {})
        match event["event"]:
            case "SHUTDOWN":
                self._story.shutdown = str(data.get("reason", ""))
            case "GUEST_PANICKED":
                self._panicked(self._panic.found or "it told QEMU so")
            case "MIGRATION":
                self._migration.step(str(data.get("status", "")))
            case "BLOCK_IO_ERROR" if data.get("action") == "stop":
                self._stall.begin(self._tasks, full=bool(data.get("nospace")), reason=str(data.get("reason", "")))

    def _hear(self, data: bytes) -> None:
        if self._panic.feed(data):
            self._panicked(self._panic.found)
        self._take_console(data)

    def _panicked(self, words: str) -> None:
        if not self._story.panic:
            self._notice(f"The guest's kernel panicked: {words}.")
            if isinstance(self._spec.boot, EfiBoot):
                self._tasks.create_task(self._end_panicked(), name="end a panicked guest")
        self._story.panic = words

    async def _end_panicked(self) -> None:
        """A kernel that we started ends the VM itself; firmware starts one with a command line that is not ours."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), PANIC_SECONDS)
            return
        await self._child.end(grace=0)

    async def _go_on(self) -> None:
        try:
            await self._talk().execute("cont")
        except Refused as error:
            self._notice(f"The guest does not go on: {error.message}.")

    async def _watch(self) -> None:
        """Wait for QEMU's end and clear up after it; take it along where we are ended first."""
        try:
            await self._child.wait()
        finally:
            await finish(self._bury(), name=f"bury QEMU {self.pid}")

    async def _watch_share(self, tag: str, daemon: Child) -> None:
        await daemon.wait()
        try:
            await asyncio.wait_for(self.wait(), TOGETHER_SECONDS)
        except TimeoutError:
            self._notice(f"The shared directory {tag} is gone: its virtiofsd ended. It is back at the next start.")

    async def _bury(self) -> None:
        """End what still runs and release everything. May be called again, and by several at once."""
        async with self._burial:
            if self._ended.done():
                return
            status = await self._child.end(grace=0)
            if self._monitor is not None:
                await self._monitor.close()
            for stream in (self._console, self._messages, self._channels):
                stream.close()
            self._migration.gone()
            self._stall.hold()
            for daemon in self.daemons.values():
                await daemon.end()
            self._ended.set_result(ending(status, self._story, self.last_words))


async def _connect(peer: socket.socket, address: tuple[str | int, int]) -> socket.socket:
    """Connect `peer`, closing it when that fails. Raises `OSError` or `TimeoutError`."""
    peer.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(peer, address)
    except BaseException:
        peer.close()
        raise
    return peer


def _vsock() -> socket.socket:
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


def _write(log: int, data: bytes) -> None:
    """QEMU's words into the log; a log that cannot be written must not be what ends the VM."""
    with suppress(OSError):
        os.write(log, data)
