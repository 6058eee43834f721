"""`snowshed stop --force` ends a supervisor that does not answer, and no other process."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.cli import stop
from snowshed.control.client import Control
from snowshed.paths import BuilderPaths

LISTENER = """
import fcntl, socket, sys
lock = open(sys.argv[2], "w") if sys.argv[2:] else None
if lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuilderPaths:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(stop, "Control", functools.partial(Control, deadline=0.01))
    found = BuilderPaths("default")
    found.ssh.mkdir(parents=True)
    return found


@contextmanager
def silent(*argv: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that listens at the socket `argv[0]` and says nothing, and may hold the lock `argv[1]`."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_another_process_at_the_socket_is_left_alone(paths: BuilderPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with silent(paths.control) as process:
        assert cli.main(["stop", "--force"]) == 2
        assert f"Process {process.pid}, which listens at {paths.control}, is no supervisor" in capsys.readouterr().err
        assert process.poll() is None


def test_a_supervisor_is_ended(paths: BuilderPaths) -> None:
    with silent(paths.control, paths.supervisor_lock) as process:
        assert cli.main(["stop", "--force"]) == 0
        assert process.wait(10) == -9
