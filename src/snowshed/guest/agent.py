"""A client of qemu-guest-agent, over any connected stream socket: virtio-serial's on QEMU, vsock elsewhere.

The protocol is QMP's without a greeting and without request ids (QEMU's ``docs/interop/qemu-ga`` and
``qga/qapi-schema.json``): one JSON object a line, answers in the order of the requests. The channel outlives both its
ends: answers to somebody who gave up may still arrive, and half a line may lie in it. So every connection, and every
call after one that was given up, begins with ``guest-sync-delimited``, whose answer follows a byte that JSON never has.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..errors import GuestError
from ..units import KIB, MIB

ANSWER_SECONDS = 10.0
RUN_SECONDS = 60.0
SHUTDOWN_SECONDS = 1.0
"""`shutdown` has no answer when it succeeds; a refusal comes at once."""

_DELIMITER = b"\xff"
_LONGEST_LINE = 32 * MIB
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.5


@dataclass(frozen=True)
class GuestMemory:
    """Bytes: what the guest has, and what its programs could still get."""

    total: int
    available: int


class Agent:
    """The agent in one guest. Calls may come from several tasks; they are made one after the other.

    Every call raises `GuestError`: when the agent refuses, does not answer in time, or is gone.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self._in_step = False

    @classmethod
    async def connect(cls, peer: socket.socket, *, seconds: float = ANSWER_SECONDS) -> Agent:
        """The agent at the other end of `peer`, once it has answered; `peer` is its own from now on.

        Raises `GuestError` when it does not in `seconds`; `peer` is closed then.
        """
        reader, writer = await asyncio.open_connection(sock=peer, limit=_LONGEST_LINE)
        agent = cls(reader, writer)
        try:
            async with agent._conversation("guest-sync-delimited", seconds):
                pass
        except BaseException:
            writer.close()
            raise
        return agent

    async def close(self) -> None:
        """Hang up. The agent goes on."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def ping(self, *, seconds: float = ANSWER_SECONDS) -> None:
        """Return when the agent has answered."""
        await self._call("guest-ping", seconds=seconds)

    async def time(self, *, seconds: float = ANSWER_SECONDS) -> float:
        """What the guest's clock says, in seconds since the epoch."""
        return float(await self._call("guest-get-time", seconds=seconds)) / 1_000_000_000

    async def set_time(self, epoch: float, *, seconds: float = ANSWER_SECONDS) -> None:
        """Set the guest's clock to `epoch` seconds.

        The agent then has `hwclock` set the clock chip, and complains of a machine that has none: by then it is done
        (QEMU's ``qmp_guest_set_time``).
        """
        try:
            await self._call("guest-set-time", {"time": _nanoseconds(epoch)}, seconds=seconds)
        except GuestError as error:
            if "hwclock" not in error.message:
                raise

    async def shutdown(self, *, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Have the guest power itself off. Returns when it has been asked to; it may be gone already then."""
        with suppress(_SilenceError):
            await self._call("guest-shutdown", {"mode": "powerdown"}, seconds=seconds)

    async def trim(self, *, seconds: float = RUN_SECONDS) -> int:
        """Give blocks that no file uses back to the host; how many bytes that were."""
        answer = await self._call("guest-fstrim", seconds=seconds)
        return sum(int(path.get("trimmed", 0)) for path in answer.get("paths", []))

    async def memory(self) -> GuestMemory:
        """What the guest has of memory just now."""
        return parse_meminfo(await self.run(["/bin/cat", "/proc/meminfo"], seconds=ANSWER_SECONDS))

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", seconds: float = RUN_SECONDS) -> str:
        """Run a program in the guest, as root, to its end and return its standard output.

        Raises `GuestError` when it fails, with what it said; when it takes longer than `seconds` it is left running.
        """
        request: dict[str, object] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if stdin:
            request["input-data"] = base64.b64encode(stdin).decode()
        try:
            async with asyncio.timeout(seconds):
                started = await self._call("guest-exec", request, seconds=seconds)
                ended = await self._end_of(int(started["pid"]), seconds)
        except TimeoutError:
            raise GuestError(f"In the guest, {argv[0]} did not end in {seconds:.0f} s.") from None
        if ended.get("exitcode") != 0:
            said = _text(ended, "err-data").strip() or _text(ended, "out-data").strip()
            how = f"signal {ended['signal']}" if "signal" in ended else f"status {ended.get('exitcode')}"
            raise GuestError(f"In the guest, {argv[0]} ended with {how}: {said[-500:] or 'it said nothing'}")
        return _text(ended, "out-data")

    async def _end_of(self, pid: int, seconds: float) -> dict[str, Any]:
        """The agent does not tell when a program ends: it has to be asked, ever more rarely. Each answer may take
        `seconds`: a busy guest is slow to give any."""
        pause = _FIRST_LOOK
        while True:
            status: dict[str, Any] = await self._call("guest-exec-status", {"pid": pid}, seconds=seconds)
            if status["exited"]:
                return status
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_LOOK)

    async def _call(
        self, command: str, arguments: dict[str, object] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Any:
        async with self._conversation(command, seconds):
            answer = await self._ask(command, arguments)
        if "error" in answer:
            raise GuestError(f"The guest agent refused {command!r}: {answer['error'].get('desc', answer['error'])}")
        return answer.get("return")

    @asynccontextmanager
    async def _conversation(self, command: str, seconds: float) -> AsyncIterator[None]:
        """The channel for `command` alone, in step with the agent. Raises `GuestError`."""
        try:
            async with asyncio.timeout(seconds), self._turn:
                if not self._in_step:
                    await self._synchronise()
                self._in_step = False  # until the answer is here, whatever happens
                yield
                self._in_step = True
        except TimeoutError:
            raise _SilenceError(f"The guest agent did not answer {command!r} in {seconds:.0f} s.") from None
        except (EOFError, OSError, asyncio.LimitOverrunError, ValueError) as error:
            raise GuestError(f"The guest agent is gone: {type(error).__name__} at {command!r}.") from error

    async def _ask(self, command: str, arguments: dict[str, object] | None) -> dict[str, Any]:
        await self._send(_request(command, arguments))
        try:
            return _answer(await self._reader.readuntil(b"\n"))
        except EOFError as error:
            raise _SilenceError(f"The guest went away instead of answering {command!r}.") from error

    async def _synchronise(self) -> None:
        """Throw away whatever is in the channel: up to the answer to a number that nobody else has chosen."""
        number = secrets.randbelow(1 << 31)
        await self._send(_DELIMITER + _request("guest-sync-delimited", {"id": number}))
        while True:
            await self._reader.readuntil(_DELIMITER)
            line = await self._reader.readuntil(b"\n")
            with suppress(ValueError):
                if _answer(line.rpartition(_DELIMITER)[2]).get("return") == number:
                    return

    async def _send(self, line: bytes) -> None:
        self._writer.write(line)
        await self._writer.drain()


class _SilenceError(GuestError):
    """The agent was asked, and there was no answer."""


def _nanoseconds(seconds: float) -> int:
    """A double cannot hold today's date in nanoseconds: whole seconds and the rest apart."""
    whole = int(seconds)
    return whole * 1_000_000_000 + int((seconds - whole) * 1_000_000_000)


def _request(command: str, arguments: dict[str, object] | None) -> bytes:
    message = {"execute": command, **({"arguments": arguments} if arguments else {})}
    return json.dumps(message).encode() + b"\n"


def _answer(line: bytes) -> dict[str, Any]:
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


def _text(status: dict[str, Any], key: str) -> str:
    return base64.b64decode(status.get(key, "")).decode(errors="replace")


def parse_meminfo(text: str) -> GuestMemory:
    """The figures in ``/proc/meminfo`` (proc(5)), which are KiB. Raises `GuestError` where they are missing."""
    figures = {line.split(":")[0]: line.split()[1] for line in text.splitlines() if ":" in line}
    try:
        return GuestMemory(int(figures["MemTotal"]) * KIB, int(figures["MemAvailable"]) * KIB)
    except (KeyError, ValueError, IndexError) as error:
        raise GuestError("The guest does not say how much memory it has.") from error
