"""A VM that lives in a vz helper."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...errors import GuestError, SnowshedError
from ...guest.contract import contract
from ...network.nat import NatAddress
from ...network.way_in import WayIn
from ...tasks import finish
from ..backup import leave_out
from ..base import Exit, Launch, MemoryFigures, Vm
from .client import Client
from .messages import Balloon, Ended, Happened, Pause, RequestStop, Resume, Save, Stop

PATIENCE = 10.0
"""Seconds for a pause, a resume, the power button."""
SAVE_PATIENCE = 600.0
"""Seconds for writing the memory of a large guest to a slow disk."""
STOP_PATIENCE = 6.0
"""Seconds for pulling the plug; the guest dies with its helper anyway."""


class Ending:
    """What is known of a VM's end before its helper is gone."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self.told: Ended | None = None

    def heard(self, event: Ended | Happened) -> None:
        """An event of the helper."""
        if isinstance(event, Happened):
            self._notice(event.sentence)
        elif self.told is None:
            self.told = event

    def exit(self, *, killed: bool, status: int) -> Exit:
        """How it ended."""
        if killed:
            return Exit(clean=False, detail="its plug was pulled")
        if self.told is not None:
            return Exit(self.told.clean, self.told.detail)
        return Exit(clean=False, detail=f"the vz helper ended with {status}, and the guest with it")


class VzVm(Vm):
    """It can be paused always, and saved where the framework agrees: then it is a `SavableVzVm`."""

    def __init__(self, client: Client, ending: Ending, nat: NatAddress | None, launch: Launch) -> None:
        self._client = client
        self._ending = ending
        self._way = WayIn(client.connect, nat)
        self._launch = launch
        self._killed = False
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    def watch(self, release: Callable[[], None]) -> None:
        """Begin to wait for the end, and `release` then what the VM used."""
        self._launch.tasks.create_task(self._watch(release), name="watch vz helper")

    async def _watch(self, release: Callable[[], None]) -> None:
        status = await self._client.child.wait()
        if self._client.reader is not None:
            await asyncio.wait((self._client.reader,))  # its last words, up to the end of the channel
        self._way.forget()
        release()
        self._ended.set_result(self._ending.exit(killed=self._killed, status=status))

    @property
    def pid(self) -> int:
        return self._client.child.pid

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def request_stop(self) -> None:
        await self._client.ask(RequestStop, PATIENCE)

    async def kill(self) -> None:
        await finish(self._kill(), name="kill vz VM")

    async def _kill(self) -> None:
        if not self._client.child.ended:
            self._killed = True
            with suppress(SnowshedError):
                await self._client.ask(Stop, STOP_PATIENCE)
            await self._client.end()
        await asyncio.shield(self._ended)

    async def connect(self, port: int) -> socket.socket:
        return await self._way.connect(port)

    async def agent(self) -> socket.socket:
        try:
            return await self._client.connect(contract().ports.agent)
        except OSError as error:
            raise GuestError(f"The guest agent cannot be reached: {error}.") from error

    async def memory(self) -> MemoryFigures:
        """The guest's memory belongs to a process of Apple's, which nothing names reliably."""
        return MemoryFigures()

    async def pause(self) -> None:
        await self._client.ask(Pause, PATIENCE)

    async def resume(self) -> None:
        await self._client.ask(Resume, PATIENCE)

    async def balloon(self, target: int) -> None:
        """Ask the guest to make do with `target` bytes, in whole MiB. Raises `GuestError`."""
        await self._client.ask(lambda number: Balloon(number, target), PATIENCE)


class SavableVzVm(VzVm):
    """A VM whose memory macOS will write to a file, bound to this Mac and this version of macOS."""

    async def save(self, file: Path) -> None:
        await self._client.ask(lambda number: Save(number, str(file)), SAVE_PATIENCE)
        await leave_out([file], None)
