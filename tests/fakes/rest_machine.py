"""The common part of the fakes of vfkit and krunkit: a VM's states, vsock over unix sockets, and the end.

A VM has states as Virtualization.framework has them and refuses what that would refuse.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

from . import guests


class Refused(Exception):
    """The framework's reason."""


class Machine:
    """A VM around a guest. `state` is read by REST; `stopped` is set once and for all."""

    def __init__(self, guest: guests.Guest, *, late: float = 0.0) -> None:
        self.guest = guest
        self.state = "Stopped"
        self.stopped = threading.Event()
        self._late = late

    def start(self) -> None:
        if self._late:
            time.sleep(self._late)
        self.state = "Starting"
        if self._late:
            time.sleep(self._late)
        self.guest.power_on(self._ended)
        self.state = "Running"

    def _ended(self) -> None:
        self.state = "Stopped"
        self.stopped.set()

    def pause(self) -> None:
        self._must_be("Running")
        self.guest.freeze()
        self.state = "Paused"

    def resume(self) -> None:
        self._must_be("Paused")
        self.guest.thaw()
        self.state = "Running"

    def request_stop(self) -> None:
        self._must_be("Running")
        self.guest.press_power_button()

    def hard_stop(self) -> None:
        self._must_be("Running", "Paused")
        self.guest.pull_the_plug()
        self._ended()

    def _must_be(self, *states: str) -> None:
        if self.state not in states:
            raise Refused(f"Invalid virtual machine state transition. The state is {self.state}.")


def serve_vsock(machine: Machine, port: int, path: str) -> None:
    """Listen at `path` and lead each connection to the guest's `port`; close those that nobody there wants."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)

    def lead(connection: socket.socket) -> None:
        try:
            inside = machine.guest.connect(port)
        except OSError:
            connection.close()
            return
        splice(connection, inside)

    _accept(listener, lead)


def serve_rest(path: str, answer: Callable[[bytes], bytes | None]) -> socket.socket:
    """Listen at `path`; each request's bytes are answered by `answer`, None: closed without one."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)

    def reply(connection: socket.socket) -> None:
        with connection:
            said = answer(read_request(connection))
            if said is not None:
                connection.sendall(said)

    _accept(listener, reply)
    return listener


def read_request(connection: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = connection.recv(4096)
        if not more:
            return raw
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next((int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-l")), 0)
    while len(body) < length:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def _accept(listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_contained, args=(handle, connection), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def _contained(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle(connection)


def splice(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until both directions have ended."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()
    one.close()
    other.close()


def console_file(path: str) -> Callable[[bytes], None]:
    """Write the console to `path`, from its beginning and without append, as vfkit does."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(data: bytes) -> None:
        os.write(descriptor, data)

    return write
