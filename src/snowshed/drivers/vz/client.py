"""The supervisor's side of the helper: starts it, asks it, and hears what happens to the VM."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ...child import Child
from ...errors import GuestError, SnowshedError, UserError
from .faults import explain, is_refusal
from .messages import (
    PROTOCOL,
    Answer,
    Closed,
    Connect,
    Connected,
    Ended,
    Failed,
    Happened,
    Hello,
    Wish,
    decode_answer,
    encode,
)
from .wire import Wire, WireError

HELLO_PATIENCE = 30.0
"""Seconds for the helper to say hello: a Python that imports PyObjC, on a machine that may be busy."""
CONNECT_PATIENCE = 10.0
EXIT_PATIENCE = 2.0
"""Seconds for a helper that has nothing left to do to end."""

INSTALL = "Install it with `pip install 'snowshed[macos]'`, or use the driver vfkit."


class GuestSocket(socket.socket):
    """A connection to the guest. The helper keeps its own half until this one is closed, and is told then."""

    def __init__(self, descriptor: int, closed: Callable[[], None]) -> None:
        super().__init__(fileno=descriptor)
        self.setblocking(False)
        self._closed_once = closed

    def close(self) -> None:
        tell, self._closed_once = self._closed_once, lambda: None
        super().close()
        tell()


class Client:
    """A helper process. `heard` is called with its events; `tasks` owns the task that reads."""

    def __init__(self, child: Child, wire: Wire, heard: Callable[[Ended | Happened], None]) -> None:
        self.child = child
        self._wire = wire
        self._heard = heard
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Answer, int]]] = {}
        self._loop = asyncio.get_running_loop()
        self._telling: set[asyncio.Task[None]] = set()
        self._gone: SnowshedError | None = None
        self.reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        command: Sequence[str | Path],
        *,
        messages: Path,
        keep: Sequence[int],
        tasks: asyncio.TaskGroup,
        heard: Callable[[Ended | Happened], None],
    ) -> Client:
        """Start the helper and wait for its hello. Raises `SnowshedError` with what it said; nothing is left then.

        `messages` is the file for its words; `keep` are descriptors that it inherits.
        """
        ours, theirs = socket.socketpair()
        output = os.open(messages, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            words = [*command, "--channel", str(theirs.fileno())]
            child = await Child.start(words, output=output, keep=[theirs.fileno(), *keep])
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(output)
            theirs.close()
        client = cls(child, Wire(ours), heard)
        try:
            await client._greet(messages)
        except BaseException:
            await child.end(grace=0)
            client._wire.close()
            raise
        client.reader = tasks.create_task(client._read(), name="read vz helper")
        return client

    async def _greet(self, messages: Path) -> None:
        try:
            async with asyncio.timeout(HELLO_PATIENCE):
                line = await self._wire.read_line()
            hello = decode_answer(line) if line else None
        except TimeoutError as error:
            raise GuestError(
                f"The vz helper said nothing for {HELLO_PATIENCE:.0f} s.", "See `snowshed logs`."
            ) from error
        except (msgspec.MsgspecError, WireError) as error:
            raise _nonsense(error) from error
        if not isinstance(hello, Hello):
            raise _ended_early(messages)
        if hello.protocol != PROTOCOL:
            raise UserError(
                f"The vz helper is of snowshed {hello.version} and speaks another protocol.",
                "Install snowshed again, and run `snowshed doctor --fix`.",
            )

    async def _read(self) -> None:
        """Until the helper is gone. A helper that talks nonsense is ended."""
        problem: SnowshedError = GuestError("The vz helper is gone.", "See `snowshed logs`.")
        try:
            while line := await self._wire.read_line():
                self._take(decode_answer(line))
        except (msgspec.MsgspecError, WireError, OSError) as error:
            problem = _nonsense(error)
            await self.child.end(grace=0)
        finally:
            self._gone = problem
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(problem)
                    future.exception()  # whoever waited may have left
            self._wire.close()

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Ended | Happened):
            self._heard(answer)
            return
        if isinstance(answer, Hello):
            raise WireError("a second hello")
        descriptor = self._wire.take_descriptor() if isinstance(answer, Connected) else -1
        future = self._waiting.pop(answer.id, None)
        if future is not None and not future.done():
            future.set_result((answer, descriptor))
        elif isinstance(answer, Connected):  # whoever wanted it has left
            os.close(descriptor)
            self._tell(Closed(answer.connection))

    async def ask(self, make: Callable[[int], Wish], patience: float) -> Answer:
        """The answer to the request that `make` makes of a number.

        Raises `SnowshedError` with the framework's reason, or when the helper is gone or took more than `patience`
        seconds.
        """
        answer, _ = await self._ask(make, patience)
        if isinstance(answer, Failed):
            raise explain(answer)
        return answer

    async def connect(self, port: int) -> socket.socket:
        """A connection to the guest's vsock `port`. Raises `ConnectionRefusedError` when nothing listens there."""
        answer, descriptor = await self._ask(lambda number: Connect(number, port), CONNECT_PATIENCE)
        if isinstance(answer, Failed):
            if is_refusal(answer):
                raise ConnectionRefusedError(f"nothing in the guest listens on vsock port {port}")
            raise explain(answer)
        if not isinstance(answer, Connected):
            raise _nonsense(ValueError("a connection was promised"))
        return GuestSocket(descriptor, lambda: self._tell(Closed(answer.connection)))

    async def _ask(self, make: Callable[[int], Wish], patience: float) -> tuple[Answer, int]:
        if self._gone is not None:
            raise self._gone
        request = make(next(self._numbers))
        future: asyncio.Future[tuple[Answer, int]] = self._loop.create_future()
        self._waiting[request.id] = future
        try:
            async with asyncio.timeout(patience):
                await self._wire.send(encode(request))
                return await future
        except TimeoutError as error:
            raise GuestError(
                f"The vz helper did not answer within {patience:.0f} s ({type(request).__name__}).",
                "`snowshed stop --force` ends it.",
            ) from error
        except OSError as error:
            raise GuestError("The vz helper is gone.", "See `snowshed logs`.") from error
        finally:
            self._waiting.pop(request.id, None)

    def _tell(self, message: Closed) -> None:
        """Send what has no answer. Called from wherever a socket happens to be closed."""
        with suppress(RuntimeError):  # the loop is closed: so is the channel
            self._loop.call_soon_threadsafe(self._spawn, self._send(encode(message)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name="tell vz helper")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _send(self, line: bytes) -> None:
        if self._gone is None:
            with suppress(OSError):
                await self._wire.send(line)

    async def end(self) -> None:
        """See the helper's process end: by itself if it does so soon."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.child.wait()), EXIT_PATIENCE)
        await self.child.end(grace=0)


def _nonsense(error: Exception) -> SnowshedError:
    return GuestError(f"The vz helper answered with nonsense: {error}.", "Install snowshed again; see `snowshed logs`.")


def _ended_early(messages: Path) -> SnowshedError:
    """Why a helper ended before it said anything: PyObjC missing, or the last line of its traceback."""
    with suppress(OSError):
        lines = [line for line in messages.read_text(errors="replace").splitlines() if line.strip()]
        if lines and lines[-1].startswith(("ModuleNotFoundError", "ImportError")):
            return UserError(f"PyObjC cannot be used: {lines[-1].partition(': ')[2]}.", INSTALL)
        if lines:
            return GuestError(f"The vz helper ended at once: {lines[-1].strip()}.", "See `snowshed logs`.")
    return GuestError("The vz helper ended at once.", "`snowshed doctor --fix` makes its interpreter anew.")
