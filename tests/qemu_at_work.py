"""A machine of the QEMU driver's, for the length of a test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from specs import Recorder

from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.drivers.qemu.vm import QemuVm
from snowshed.guest.contract import contract
from snowshed.model.machine import MachineSpec

BANNER = b"SSH-2.0-fake\r\n"


@asynccontextmanager
async def recording(folder: Path) -> AsyncIterator[Recorder]:
    """What a supervisor is to a driver, for the length of a test."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        recorder = Recorder(folder, tasks)
        try:
            yield recorder
        finally:
            recorder.close()


@asynccontextmanager
async def running(folder: Path, spec: MachineSpec) -> AsyncIterator[tuple[QemuVm, Recorder]]:
    """A VM, killed at the end if it still runs."""
    async with recording(folder) as recorder:
        vm = await QemuDriver().start(spec, recorder.launch)
        try:
            yield vm, recorder
        finally:
            await vm.kill()


class CancelledAt:
    """Awaits a coroutine and cancels the task when it waits for the `turn`th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], turn: int) -> None:
        self._coroutine = coroutine
        self._turns_left = turn

    def __await__(self) -> Generator[Any, Any, Any]:
        step, argument = self._coroutine.send, None
        while True:
            try:
                waited_for = step(argument)
            except StopIteration as end:
                return end.value
            self._turns_left -= 1
            if self._turns_left == 0:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                step, argument = self._coroutine.send, (yield waited_for)
            except BaseException as error:
                step, argument = self._coroutine.throw, error  # type: ignore[assignment]


async def receive(peer: socket.socket, wanted: int) -> bytes:
    data = b""
    while len(data) < wanted:
        chunk = await asyncio.get_running_loop().sock_recv(peer, wanted - len(data))
        if not chunk:
            break
        data += chunk
    return data


async def greeting(vm: QemuVm) -> bytes:
    with await vm.connect(contract().ports.ssh) as peer:
        return await receive(peer, len(BANNER))


async def until(true: Callable[[], bool]) -> None:
    """Give everybody else a turn until something is true that no event tells."""
    while not true():
        await asyncio.sleep(0)


async def awaiting(awaitable: CancelledAt) -> Any:
    return await awaitable
