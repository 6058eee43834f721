"""What runs inside the fakes of macOS's hypervisors.

`PretendGuest` is a guest of a few threads: it says its stages on the console, has an SSH banner and an echo on its
SSH port and a small guest agent, and reacts to its power button. Tests choose what it does wrong.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from snowshed.guest.contract import contract

BANNER = b"SSH-2.0-pretend\r\n"


class Guest(Protocol):
    """What a fake hypervisor needs of a guest. `ended` is called once, from any thread, when it has powered off."""

    def power_on(self, ended: Callable[[], None]) -> None: ...

    def connect(self, port: int) -> socket.socket:
        """Raises `ConnectionRefusedError` where nothing listens."""

    def press_power_button(self) -> None: ...

    def pull_the_plug(self) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def save(self, path: str) -> None: ...

    def restore(self, path: str, ended: Callable[[], None]) -> None: ...


class PretendGuest:
    """See the module. `wrong` holds words for what it does wrong:

    ``ignores-power``: the power button does nothing; ``no-vsock``: nothing listens on vsock; ``mute``: no stages.
    """

    def __init__(self, console: Callable[[bytes], None], wrong: frozenset[str] = frozenset()) -> None:
        self._console, self._wrong = console, wrong
        self._runs = threading.Event()
        self._ended: Callable[[], None] = lambda: None
        self._connections: list[socket.socket] = []
        self.uptime_mark = str(os.getpid())
        """Something that a restore brings back and a boot does not."""

    def power_on(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._runs.set()
        self._console(b"Linux version pretend\r\n")
        if "mute" not in self._wrong:
            for stage in contract().stages:
                self._console(f"{contract().stage_mark} {stage}\r\n".encode())

    def connect(self, port: int) -> socket.socket:
        serve = {contract().ports.ssh: self._ssh, contract().ports.agent: self._agent}.get(port)
        if serve is None or "no-vsock" in self._wrong:
            raise ConnectionRefusedError(port)
        ours, theirs = socket.socketpair()
        self._connections.append(theirs)
        threading.Thread(target=self._contained, args=(serve, theirs), daemon=True).start()
        return ours

    def _contained(self, serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
        try:
            with connection:
                serve(connection)
        except OSError:
            pass

    def _ssh(self, connection: socket.socket) -> None:
        self._runs.wait()
        connection.sendall(BANNER)
        while data := connection.recv(1 << 16):
            self._runs.wait()
            connection.sendall(data)

    def _agent(self, connection: socket.socket) -> None:
        for line in connection.makefile("rb"):
            self._runs.wait()
            request = json.loads(line.lstrip(b"\xff"))
            command, arguments = request["execute"], request.get("arguments", {})
            if command == "guest-shutdown":
                self._power_off()
                return
            answer = self._answer(command, arguments)
            mark = b"\xff" if command == "guest-sync-delimited" else b""
            connection.sendall(mark + json.dumps({"return": answer}).encode() + b"\n")

    def _answer(self, command: str, arguments: dict[str, Any]) -> object:
        """A program that is run says 0, which is how many builds there are."""
        answers: dict[str, object] = {
            "guest-sync-delimited": arguments.get("id"),
            "guest-get-time": time.time_ns(),
            "guest-exec": {"pid": 1},
            "guest-exec-status": {"exited": True, "exitcode": 0, "out-data": base64.b64encode(b"0\n").decode()},
            "guest-fstrim": {"paths": []},
        }
        return answers.get(command, {})

    def press_power_button(self) -> None:
        if "ignores-power" not in self._wrong:
            threading.Thread(target=self._power_off, daemon=True).start()

    def _power_off(self) -> None:
        self._console(b"reboot: Power down\r\n")
        self.pull_the_plug()
        self._ended()

    def pull_the_plug(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._runs.set()

    def freeze(self) -> None:
        self._runs.clear()

    def thaw(self) -> None:
        self._runs.set()

    def save(self, path: str) -> None:
        with Path(path).open("x") as file:
            file.write(self.uptime_mark)

    def restore(self, path: str, ended: Callable[[], None]) -> None:
        self._ended = ended
        self.uptime_mark = Path(path).read_text()
