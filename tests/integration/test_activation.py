"""Sockets that somebody else holds: they outlive the supervisor, and nobody who connects meanwhile is refused."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients import connect, greeted, status_of
from command import Place, free_port, with_patience

RUN = ("run", "--on-demand", "--memory", "512", "--cores", "1")
ACTIVATE = shutil.which("systemd-socket-activate")


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as made:
        yield made


@contextmanager
def supervisor_of(place: Place, listener: socket.socket, name: str = "ssh") -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that finds `listener` as its third descriptor, as a service manager hands it over."""
    script = 'exec 3<&"$0"; export LISTEN_PID=$$; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, str(listener.fileno()), *place.argv(*RUN)],
        env={**place.environment, "LISTEN_FDS": "1", "LISTEN_FDNAMES": name},
        pass_fds=(listener.fileno(),),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with_patience(lambda: status_of(place, "supervisorPid"))
        yield process
    finally:
        place.run("stop", "--force")
        process.kill()
        process.wait()


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed (Debian: systemd)")
def test_systemd_socket_activation(place: Place) -> None:
    port = free_port()
    argv = [str(ACTIVATE), "--listen", f"127.0.0.1:{port}", "--fdname", "ssh"]
    environment = [f"--setenv={name}={value}" for name, value in place.environment.items()]
    with subprocess.Popen(
        [*argv, *environment, *place.argv(*RUN)], env=place.environment, stderr=subprocess.DEVNULL
    ) as it:
        try:
            with_patience(lambda: _listens(port))
            with connect(port) as client:
                assert greeted(client)
            assert status_of(place, "port") == port
        finally:
            place.run("stop")
            it.kill()


def _listens(port: int) -> bool:
    table = Path("/proc/net/tcp").read_text().splitlines()
    return any(f":{port:04X} " in line and " 0A " in line for line in table)


def test_a_socket_survives_its_supervisor_and_so_do_those_who_wait_on_it(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        with supervisor_of(place, listener):
            with connect(port) as client:
                assert greeted(client)
            place.ok("stop")
        waiting = [connect(port) for _ in range(3)]
        with supervisor_of(place, listener) as second:
            assert all(greeted(client) for client in waiting)
            os.kill(status_of(place, "supervisorPid"), signal.SIGKILL)
            second.wait()
            for client in waiting:
                client.close()
        late = connect(port)
        with supervisor_of(place, listener):
            assert greeted(late)
        late.close()


def test_a_socket_with_another_name_is_not_ours(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, supervisor_of(place, listener, name="http"):
        assert status_of(place, "port") != listener.getsockname()[1]
