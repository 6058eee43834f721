"""The client's end of the control socket (`model/wire.py`): synchronous, and made of the standard library alone.

`snowshed status` has to answer at once, so that nothing is imported here that it does not need; requests, events and
answers are the JSON objects of the protocol, not its types.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import PROTOCOL, __version__
from ..errors import GuestError, NotRunning, SnowshedError, UserError, from_json

GREETING_DEADLINE = 5.0
"""Seconds in which a supervisor that is alive has accepted a connection and said who it is."""

ENDING = 0.1
"""Seconds for the kernel to take a supervisor apart that was killed: its socket may be the last to go."""

ANSWER_DEADLINE = 30.0
"""Seconds of silence after which a request counts as lost, unless the caller knows better."""

LONGEST_LINE = 4 << 20
"""Bytes; an answer has some thousands."""

ESSENTIAL = frozenset(
    ("name", "state", "running", "version", "system", "port", "network", "image", "connections", "leases", "notices")
) | {"supervisorPid"}
"""What every supervisor's report has, whatever its version."""

GOES_ON = ("suspend", "pause", "stop")
"""Requests that a supervisor brings to their end, whoever asked has left or not."""

Each = Callable[[dict[str, Any]], None]


class Control:
    """One connection to a supervisor, which takes one request.

    `greeting` is what the supervisor said about itself. The constructor raises `NotRunning` where nobody listens (no
    socket, or a stale one from a crash), `UserError` where the socket is somebody else's, `Unresponsive` where a
    supervisor accepts and says nothing, and `Nonsense` where what speaks is none.
    """

    def __init__(self, path: Path, *, deadline: float = GREETING_DEADLINE) -> None:
        self._path = path
        try:
            self._greet(deadline)
        except Gone:  # it was just ending: whether it has ended shows when it is asked again
            time.sleep(ENDING)
            self._greet(deadline)

    def _greet(self, deadline: float) -> None:
        self._buffer = b""
        self._socket = _connect(self._path, deadline)
        try:
            self.greeting = self._read_line(deadline, "greet")
            if not isinstance(self.greeting.get("protocol"), int):
                raise self._nonsense(self.greeting)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Control:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    @property
    def version(self) -> str:
        """The version of snowshed that the supervisor runs."""
        return str(self.greeting.get("snowshed", "an unknown version"))

    @property
    def speaks_our_protocol(self) -> bool:
        return self.greeting.get("protocol") == PROTOCOL

    def request(
        self, verb: str, *, each: Each | None = None, silence: float | None = ANSWER_DEADLINE, **arguments: Any
    ) -> Any:
        """Send one request, give every event that comes to `each`, and return the answer.

        `silence` is how many seconds may pass without a line; None only for a stream that a person watches. Raises
        the error that the supervisor answers with, `Gone` when it goes away without one, and `Nonsense`.
        """
        if not self.speaks_our_protocol and verb not in ("stop", "status"):
            raise self._other_version("Restart it when nothing is being built: `snowshed restart`.")
        line = json.dumps({"request": verb, **arguments}).encode() + b"\n"
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise Gone(verb) from error
        if verb in GOES_ON:
            with goes_on(verb):
                return self._answer(verb, each, silence)
        return self._answer(verb, each, silence)

    def _answer(self, verb: str, each: Each | None, silence: float | None) -> Any:
        while True:
            answer = self._read_line(silence, verb)
            kind = next((kind for kind in ("event", "error", "ok") if kind in answer), "")
            said = answer.get(kind)
            if not kind or not isinstance(said, dict | None):
                raise self._nonsense(answer)
            if kind == "ok":
                return said
            if kind == "error":
                raise from_json(said or {})
            if each is not None:
                each(said or {})

    def report(self) -> dict[str, Any]:
        """What the supervisor says of its builder, `ESSENTIAL` at least. Raises what `request` raises."""
        report = self.request("status")
        if report is not None and report.keys() >= ESSENTIAL:
            return dict(report)
        if self.speaks_our_protocol:
            raise self._nonsense(report)
        raise self._other_version("`snowshed stop` and `snowshed start` bring it up to date.")

    def _other_version(self, hint: str) -> UserError:
        return UserError(
            f"The builder was started by snowshed {self.version}, which this one ({__version__}) cannot talk to.", hint
        )

    def _read_line(self, seconds: float | None, doing: str) -> dict[str, Any]:
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._buffer:
            try:
                self._socket.settimeout(None if deadline is None else _left(deadline))
                more = self._socket.recv(1 << 16)
            except TimeoutError:
                pid = peer_pid(self._socket)
                raise Unresponsive(f"did not answer `{doing}` within {seconds or 0.0:.0f} seconds", pid) from None
            except OSError as error:
                raise Gone(doing) from error
            if not more:
                raise Gone(doing)
            self._buffer += more
            if len(self._buffer) > LONGEST_LINE:
                raise self._nonsense(self._buffer)
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._nonsense(line) from None
        if not isinstance(answer, dict):
            raise self._nonsense(line)
        return answer

    def _nonsense(self, said: object) -> Nonsense:
        return Nonsense(self._path, said, peer_pid(self._socket))


class NoSupervisor(NotRunning):
    """Nobody listens, while a supervisor itself says `NotRunning` of a builder that it serves."""


@contextmanager
def goes_on(verb: str) -> Iterator[None]:
    """Have Ctrl-C in the block say that the supervisor does `verb` all the same."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the builder goes on with `{verb}`") from None


class Unresponsive(GuestError):
    """A supervisor that holds its socket and does not answer; `pid` is the process, where the system tells."""

    def __init__(self, how: str, pid: int | None = None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"The builder's supervisor{who} {how}.",
            "Look at `snowshed logs`; `snowshed stop --force` ends it.",
        )
        self.pid = pid


class Gone(GuestError):
    """A supervisor that closed the connection without an answer: it ended, or was ended."""

    def __init__(self, doing: str) -> None:
        super().__init__(
            f"The builder's supervisor went away before it had answered `{doing}`.",
            "`snowshed logs` shows its last words.",
        )


class Nonsense(GuestError):
    """Another program than a supervisor of ours has the builder's control socket."""

    def __init__(self, path: Path, said: object, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        text = said if isinstance(said, bytes) else json.dumps(said).encode()
        super().__init__(
            f"What listens at {path}{who} is no supervisor of snowshed: it says {text[:60]!r}.",
            "End that program and delete the socket; then the builder can be started.",
        )


def peer_pid(connection: socket.socket) -> int | None:
    """The process that listens at the other end of a unix socket, or None where the system does not tell.

    Linux: ``SO_PEERCRED`` (unix(7)); macOS: ``LOCAL_PEERPID`` (2 at level 0, from ``sys/un.h``).
    """
    try:
        if sys.platform == "darwin":
            (pid,) = struct.unpack("i", connection.getsockopt(0, 2, 4))
        else:
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except (OSError, AttributeError, struct.error):
        return None
    return int(pid) or None


def _left(deadline: float) -> float:
    """Seconds until `deadline`. Raises `TimeoutError` when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(path: Path, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(deadline)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise _why_not(path, error) from error
    return connection


def _why_not(path: Path, error: OSError) -> SnowshedError:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return NoSupervisor("The builder is not running.", "Start it with `snowshed start`.")
    if isinstance(error, PermissionError):
        return UserError(f"You may not talk to the builder at {path}.", "It belongs to another user: ask them.")
    if isinstance(error, TimeoutError | BlockingIOError):
        return Unresponsive("does not accept connections")
    return GuestError(f"The builder's control socket {path} cannot be used: {error}.", "Look at `snowshed logs`.")
