"""The client's end of the control socket (`model/wire.py`): synchronous, and made of the standard library alone.

`snowshed status` has to answer at once, so that nothing is imported here that it does not need; requests, events and
answers are the JSON objects of the protocol, not its types.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import PROTOCOL, __version__
from ..errors import Bug, GuestError, NotRunning, SnowshedError, UserError, from_json

GREETING_DEADLINE = 5.0
"""Seconds in which a supervisor that is alive has accepted a connection and said who it is."""

ANSWER_DEADLINE = 30.0
"""Seconds of silence after which a request counts as lost, unless the caller knows better."""

Each = Callable[[dict[str, Any]], None]


class Control:
    """One connection to a supervisor, which takes one request.

    `greeting` is what the supervisor said about itself. The constructor raises `NotRunning` where nobody listens (no
    socket, or a stale one from a crash), `UserError` where the socket is somebody else's, and `Unresponsive` where a
    supervisor accepts and says nothing.
    """

    def __init__(self, path: Path, *, deadline: float = GREETING_DEADLINE) -> None:
        self._path = path
        self._buffer = b""
        self._socket = _connect(path, deadline)
        try:
            self.greeting = self._read_line(deadline, "greet")
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
        the error that the supervisor answers with, and `Gone` when it goes away without one.
        """
        if not self.speaks_our_protocol and verb not in ("stop", "status"):
            raise UserError(
                f"The builder was started by snowshed {self.version}, which this one ({__version__}) cannot talk to.",
                "Restart it when nothing is being built: `snowshed restart`.",
            )
        line = json.dumps({"request": verb, **arguments}).encode() + b"\n"
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise Gone(verb) from error
        while True:
            answer = self._read_line(silence, verb)
            if "event" in answer:
                if each is not None:
                    each(answer["event"])
            elif "error" in answer:
                raise from_json(answer["error"])
            else:
                return answer.get("ok")

    def _read_line(self, deadline: float | None, doing: str) -> dict[str, Any]:
        self._socket.settimeout(deadline)
        while b"\n" not in self._buffer:
            try:
                more = self._socket.recv(1 << 16)
            except TimeoutError:
                raise Unresponsive(doing, deadline or 0.0, peer_pid(self._socket)) from None
            except OSError as error:
                raise Gone(doing) from error
            if not more:
                raise Gone(doing)
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise Bug(f"The supervisor answered with something that is not JSON: {line[:80]!r}.") from error
        if not isinstance(answer, dict):
            raise Bug(f"The supervisor answered with something that is not an object: {line[:80]!r}.")
        return answer


class Unresponsive(GuestError):
    """A supervisor that holds its socket and does not answer; `pid` is the process, where the system tells."""

    def __init__(self, doing: str, seconds: float, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"The builder's supervisor{who} did not answer `{doing}` within {seconds:.0f} seconds.",
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
        return NotRunning("The builder is not running.", "Start it with `snowshed start`.")
    if isinstance(error, PermissionError):
        return UserError(f"You may not talk to the builder at {path}.", "It belongs to another user: ask them.")
    if isinstance(error, TimeoutError | BlockingIOError):
        return GuestError(
            "The builder's supervisor does not accept connections.",
            "Look at `snowshed logs`; `snowshed stop --force` ends it.",
        )
    return GuestError(f"The builder's control socket {path} cannot be used: {error}.", "Look at `snowshed logs`.")
