"""A VM behind a REST service: vfkit's and, with less in it, krunkit's.

Stopping follows what is known of vfkit: ``Stop`` only sends the power button; ``HardStop`` often loses its answer;
SIGTERM leaves a guest five seconds, and is suspected to hang some versions. So a signal is the last resort, and then
SIGKILL, which harms no guest that is stopped already.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from ...child import Child
from ...errors import GuestError
from ...guest.contract import contract
from ...network.nat import NatAddress
from ...network.way_in import WayIn
from ...tasks import finish
from ..base import Exit, Launch, MemoryFigures, Vm
from .argv import Places, vsock_ports
from .follow import Follower
from .rest import LostAnswer, Rest

PULL_PATIENCE = 5.0
"""Seconds for the process to end after its VM's plug was pulled."""
SOCKET_PATIENCE = 2.0
"""Seconds for a vsock's socket to appear: it is made once the VM runs, and nothing tells when."""
STATE_PATIENCE = 5.0
"""Seconds for a pause or a resume."""
INTERVAL = 0.02
"""Seconds between two looks at what no event tells."""

_REQUEST = "[GIN]"
"""How a line begins that tells of a request to REST."""


class RestVm(Vm):
    """A VM in a child process that serves REST and vsock over unix sockets in `places`."""

    def __init__(self, child: Child, places: Places, nat: NatAddress | None, launch: Launch) -> None:
        self._child = child
        self._places = places
        self._rest = Rest(places.rest)
        self._way = WayIn(self._vsock, nat)
        self._killed = False
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._launch = launch

    def watch(self, console: Follower, release: Callable[[], Awaitable[None]]) -> None:
        """Begin to wait for the end; then stop following the console and `release` what the VM used."""
        self._launch.tasks.create_task(self._watch(console, release), name="watch VM process")

    async def _watch(self, console: Follower, release: Callable[[], Awaitable[None]]) -> None:
        status = await self._child.wait()
        console.close()
        self._way.forget()
        sweep(self._places)
        await release()
        self._ended.set_result(self._exit(status))

    def _exit(self, status: int) -> Exit:
        if self._killed:
            return Exit(clean=False, detail="its plug was pulled")
        if status == 0:
            return Exit(clean=True, detail="the guest has shut down")
        return Exit(clean=False, detail=last_words(self._places.messages) or f"the hypervisor ended with {status}")

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def request_stop(self) -> None:
        await self._ask("Stop")

    async def kill(self) -> None:
        await finish(self._kill(), name="kill VM")

    async def _kill(self) -> None:
        if not self._child.ended:
            self._killed = True
            await self._pull_the_plug()
            await self._child.end(grace=0)
        await asyncio.shield(self._ended)

    async def _pull_the_plug(self) -> None:
        with suppress(OSError, TimeoutError, GuestError):  # whatever is answered or not, the process tells
            await self._rest.ask("HardStop")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._child.wait()), PULL_PATIENCE)

    async def _ask(self, wish: str) -> None:
        """Raises `GuestError` with the reason when it was refused or nobody listens."""
        try:
            await self._rest.ask(wish)
        except LostAnswer:
            return
        except (OSError, TimeoutError) as error:
            raise GuestError(f"The hypervisor does not answer: {error or 'it took too long'}.") from error

    async def connect(self, port: int) -> socket.socket:
        return await self._way.connect(port)

    async def agent(self) -> socket.socket:
        try:
            return await self._vsock(contract().ports.agent)
        except OSError as error:
            raise GuestError(f"The guest agent cannot be reached: {error}.") from error

    async def _vsock(self, port: int) -> socket.socket:
        if port not in vsock_ports():
            raise GuestError(f"Port {port} of the guest is not led out of the VM.")
        deadline = asyncio.get_running_loop().time() + SOCKET_PATIENCE
        while True:
            try:
                return await dial(self._places.vsock(port))
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if self._child.ended or asyncio.get_running_loop().time() > deadline:
                    raise GuestError(f"The hypervisor has no socket for the guest's vsock port {port}.") from error
            await asyncio.sleep(INTERVAL)

    async def memory(self) -> MemoryFigures:
        """The guest's memory belongs to a process of Apple's, which nothing names reliably."""
        return MemoryFigures()


class VfkitVm(RestVm):
    """vfkit's VM can also be paused."""

    async def pause(self) -> None:
        await self._settle("Pause", "Paused")

    async def resume(self) -> None:
        await self._settle("Resume", "Running")

    async def _settle(self, wish: str, state: str) -> None:
        """Ask, and return once it is so: the request is answered when it was passed on."""
        await self._ask(wish)
        await reached(state, self._rest, self._child, STATE_PATIENCE)


async def dial(path: Path) -> socket.socket:
    """A connected, non-blocking socket to the unix socket `path`. Raises `OSError`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def sweep(places: Places) -> None:
    """Remove the sockets of a VM that is gone: vfkit takes a leftover for a fatal error, or silently goes without."""
    for path in (*places.sockets, *places.folder.glob("vfkit-*.sock")):
        with suppress(OSError):
            path.unlink()


def last_words(messages: Path) -> str:
    """The last line of what the program said: vfkit repeats its error there, below its usage. The requests to its
    REST service, which the library gin writes down, are not meant."""
    try:
        with messages.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    spoken = [line.strip() for line in lines if line.strip() and not line.startswith(_REQUEST)]
    return spoken[-1].removeprefix("Error: ").rstrip(".") if spoken else ""


async def reached(state: str, rest: Rest, child: Child, patience: float) -> None:
    """Return when the VM is in `state`: REST tells it only to those who ask.

    A new VM's first answers may be ``Stopped`` and ``Starting``: those are no end, the end of the process is. Raises
    `GuestError` then, and after `patience` seconds.
    """
    try:
        async with asyncio.timeout(patience):
            while not child.ended:
                with suppress(OSError, GuestError):
                    if await rest.state() == state:
                        return
                await _a_moment_or_the_end(child)
    except TimeoutError as error:
        raise GuestError(f"The VM is not {state.lower()} after {patience:.0f} s.", "See `snowshed logs`.") from error
    raise GuestError(f"The hypervisor ended before the VM was {state.lower()}.")


async def _a_moment_or_the_end(child: Child) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(child.wait()), INTERVAL)
