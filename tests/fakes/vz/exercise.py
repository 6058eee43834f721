"""Everything that the helper ever asks of the framework, done once: what the contract tests run.

The helper runs in this process, against a stand-in, and is talked to over its channel as the supervisor talks to it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from snowshed.drivers.mac import Mac
from snowshed.drivers.vz.messages import (
    Answer,
    Balloon,
    Closed,
    Connect,
    Connected,
    Ended,
    Facts,
    Failed,
    Happened,
    Hello,
    Pause,
    Question,
    Request,
    RequestStop,
    Resume,
    Save,
    Start,
    Started,
    Stop,
    decode_answer,
    encode,
)
from snowshed.drivers.vz.probe import facts
from snowshed.drivers.vz.serve import Helper
from snowshed.drivers.vz.wire import Wire
from snowshed.model.machine import Arch, EfiBoot, MachineSpec, Network, Share

from ..guests import BANNER
from ..machines import spec
from .standin import StandIn

PATIENCE = 10.0


class Talk:
    """The supervisor's end of a channel, one message at a time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = 0
        self.events: list[Answer] = []

    async def hear(self) -> Answer:
        async with asyncio.timeout(PATIENCE):
            line = await self._wire.read_line()
        assert line, "the helper closed the channel"
        return decode_answer(line)

    async def say(self, request: Request) -> None:
        await self._wire.send(encode(request))

    async def ask(self, kind: Any, *values: Any) -> Answer:
        """The answer to a request; events that come before it are noted."""
        self._numbers += 1
        await self.say(kind(self._numbers, *values))
        while isinstance(answer := await self.hear(), Ended | Happened):
            self.events.append(answer)
        return answer

    async def done(self, kind: Any, *values: Any) -> Answer:
        """The same, for what has to succeed."""
        answer = await self.ask(kind, *values)
        if isinstance(answer, Failed):
            raise AssertionError(answer)
        return answer

    async def event(self) -> Answer:
        return self.events.pop(0) if self.events else await self.hear()

    async def connection(self, port: int) -> tuple[int, socket.socket]:
        answer = await self.done(Connect, port)
        assert isinstance(answer, Connected)
        connection = socket.socket(fileno=self._wire.take_descriptor())
        connection.setblocking(False)
        return answer.connection, connection


@asynccontextmanager
async def helper(standin: StandIn) -> AsyncIterator[Talk]:
    """A helper in this process, past its hello. At the end it has to have ended."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    running = asyncio.create_task(Helper(standin.framework(), theirs).run(), name="helper")
    try:
        talk = Talk(wire)
        assert isinstance(await talk.hear(), Hello)
        yield talk
        async with asyncio.timeout(PATIENCE):
            await running
    finally:
        running.cancel()
        wire.close()
        theirs.close()
        standin.end()


def expect(event: Answer, kind: type) -> None:
    """Assertions in here are not rewritten by pytest: say what came instead."""
    if not isinstance(event, kind):
        raise AssertionError(event)


def rich_spec(folder: Path, mac: Mac) -> MachineSpec:
    """A machine with everything that `mac` has."""
    (folder / "shared").mkdir(exist_ok=True)
    return spec(
        folder,
        mac.arch or Arch.AARCH64,
        shares=(Share("src", folder / "shared", False), Share("nix-store", folder, True)),
        rosetta=mac.arch is Arch.AARCH64,
        nested=mac.nested,
        network=Network.RESTRICTED,
    )


async def start(
    talk: Talk, machine: MachineSpec, mac: Mac, identifier: bytes | None = None, restore: str | None = None
) -> Answer:
    """Start `machine`, its console thrown away."""
    return await talk.ask(Start, machine, mac, os.open(os.devnull, os.O_WRONLY), identifier, restore)


async def started(talk: Talk, *arguments: Any) -> Started:
    answer = await start(talk, *arguments)
    if not isinstance(answer, Started):
        raise AssertionError(answer)
    return answer


async def exercise(make: Any, folder: Path, mac: Mac) -> list[StandIn]:
    """Run through it all on `mac`; `make` makes stand-ins, with given faults. Raises where anything goes wrong."""
    made: list[StandIn] = []

    def fresh(*faults: str) -> StandIn:
        made.append(make(faults))
        return made[-1]

    machine = rich_spec(folder, mac)
    asked = facts(fresh().framework(), Question(machine, mac))
    assert isinstance(asked, Facts)
    if asked.problem:
        raise AssertionError(asked)
    await a_rich_machine(fresh(), machine, mac)
    plain = spec(folder, mac.arch or Arch.AARCH64)
    await a_machine_that_sleeps(fresh, plain, mac, folder / "saved")
    efi = msgspec.structs.replace(plain, boot=EfiBoot(folder / "variables.fd"))
    for _ in range(2):  # the variable store is made, and found
        async with helper(fresh()) as talk:
            await started(talk, efi, mac)
            await talk.done(Stop)
    await what_fails(fresh, plain, mac)
    await what_a_vm_does_by_itself(fresh, plain, mac)
    assert [violation for standin in made for violation in standin.violations] == []
    return made


async def a_rich_machine(standin: StandIn, machine: MachineSpec, mac: Mac) -> None:
    async with helper(standin) as talk:
        await started(talk, machine, mac)
        number, connection = await talk.connection(22)
        with connection:
            assert await asyncio.get_running_loop().sock_recv(connection, 100) == BANNER
        await talk.say(Closed(number))
        await talk.done(Balloon, 256 << 20)
        await talk.done(Pause)
        await talk.done(Resume)
        await talk.done(RequestStop)
        expect(await talk.event(), Ended)


async def a_machine_that_sleeps(fresh: Any, machine: MachineSpec, mac: Mac, saved: Path) -> None:
    async with helper(fresh()) as talk:
        first = await started(talk, machine, mac)
        if first.suspend:
            await talk.done(Pause)
            await talk.done(Save, str(saved))
        await talk.done(Stop)
    if not first.suspend:
        return
    async with helper(fresh()) as talk:
        again = await started(talk, machine, mac, first.identifier, str(saved))
        assert again.identifier == first.identifier
        await talk.done(Resume)
        await talk.done(Stop)


async def what_fails(fresh: Any, machine: MachineSpec, mac: Mac) -> None:
    async with helper(fresh("start-fails")) as talk:
        failed = await start(talk, machine, mac)
        if failed != Failed(1, "start", "VZErrorDomain", 1, "Internal Virtualization error.", "The VM went away."):
            raise AssertionError(failed)
        await talk.ask(Stop)


async def what_a_vm_does_by_itself(fresh: Any, machine: MachineSpec, mac: Mac) -> None:
    async with helper(fresh("detached")) as talk:
        await started(talk, machine, mac)
        expect(await talk.event(), Happened)
        await talk.done(Stop)
    async with helper(fresh("crashes")) as talk:
        await started(talk, machine, mac)
        expect(await talk.event(), Ended)
