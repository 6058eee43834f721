"""Starting a program that serves REST: either there is a running VM afterwards, or nothing is left."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TypeVar

from ...child import Child
from ...errors import GuestError
from ...model.machine import MachineSpec, Network
from ...network.card import DeadEnd
from ...network.nat import NatAddress
from ..base import Launch
from .argv import Places
from .follow import Follower
from .rest import Rest
from .vm import RestVm, last_words, reached, sweep

START_PATIENCE = 30.0
"""Seconds from the start of the process until its VM runs; vfkit itself gives up after 5 of them."""

AnyVm = TypeVar("AnyVm", bound=RestVm)


class Start:
    """One attempt, and what it holds. `release` undoes it, in the reverse order of its making."""

    def __init__(self, launch: Launch, places: Places) -> None:
        self.launch, self.places = launch, places
        self._held = AsyncExitStack()

    def holds(self, let_go: Callable[[], None]) -> None:
        """Have `let_go` called when the VM is gone, or did not come to be."""
        self._held.callback(let_go)

    def holds_process(self, end: Callable[[], Awaitable[object]]) -> None:
        """The same for a process that lives beside the VM."""
        self._held.push_async_callback(end)

    async def release(self) -> None:
        await self._held.aclose()

    async def run(
        self, kind: type[AnyVm], words: Sequence[str | Path], nat: NatAddress | None, *, keep: Sequence[socket.socket]
    ) -> AnyVm:
        """Start `words` and return its VM once that runs. Raises `GuestError` with what the program said."""
        console = Follower(self.places.console, self.launch.console)
        child: Child | None = None
        try:
            child = await self._child(words, keep)
            await reached("Running", Rest(self.places.rest), child, START_PATIENCE)
        except BaseException as error:
            if child is not None:
                await child.end(grace=0)
            console.close()
            sweep(self.places)
            await self.release()
            if isinstance(error, GuestError):
                self._pass_on()
                raise explain(error, self.places) from error
            raise
        vm = kind(child, self.places, nat, self.launch)
        vm.watch(console, self.release)
        return vm

    async def _child(self, words: Sequence[str | Path], keep: Sequence[socket.socket]) -> Child:
        """The program, its messages in a file: an undrained pipe would block it, and its last line is its error."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        messages = os.open(self.places.messages, flags, 0o600)
        try:
            descriptors = [self.launch.vm_lock, *(end.fileno() for end in keep)]
            return await Child.start(words, output=messages, keep=descriptors)
        finally:
            os.close(messages)

    def _pass_on(self) -> None:
        """What it said goes to our own log as well: the file is written anew at the next start."""
        with suppress(OSError):
            os.write(self.launch.log, self.places.messages.read_bytes()[-8192:])


def explain(error: GuestError, places: Places) -> GuestError:
    """`error` with the program's own reason, where it gave one."""
    said = last_words(places.messages)
    return GuestError(f"{error.message[:-1]}: {said}." if said else error.message, error.hint or "See `snowshed logs`.")


def dead_end(spec: MachineSpec, start: Start) -> socket.socket | None:
    """The guest's end of a network card that leads nowhere, for a spec that wants one."""
    if spec.network is not Network.RESTRICTED:
        return None
    end = DeadEnd()
    start.holds(end.close)
    return end.card
