"""`snowshed stop` ends a supervisor that does not answer, or that nobody can ask, and no other process."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.cli import stop
from snowshed.control.client import Control
from snowshed.paths import BuilderPaths

HOLDER = """
import fcntl, os, signal, sys
from snowshed.holder import sign
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
if "signs" in sys.argv:
    sign(lock.fileno())
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
sys.stdin.read()
"""
"""A supervisor that listens nowhere."""

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
    monkeypatch.setattr(stop, "MOMENT", 0.01)
    found = BuilderPaths("default")
    found.ssh.mkdir(parents=True)
    return found


@contextmanager
def script(text: str, *argv: Path | str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `text`, which has written a line, until it is ended."""
    with subprocess.Popen(
        [sys.executable, "-c", text, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def silent(*argv: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that listens at the socket `argv[0]` and says nothing, and may hold the lock `argv[1]`."""
    return script(LISTENER, *argv)


def test_another_process_at_the_socket_is_left_alone(paths: BuilderPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with silent(paths.control) as process:
        assert cli.main(["stop", "--force"]) == 2
        assert f"Process {process.pid}, which listens at {paths.control}, is no supervisor" in capsys.readouterr().err
        assert process.poll() is None


def test_a_supervisor_is_ended(paths: BuilderPaths) -> None:
    with silent(paths.control, paths.supervisor_lock) as process:
        assert cli.main(["stop", "--force"]) == 0
        assert process.wait(10) == -9


def test_another_process_at_the_socket_of_a_supervisor_is_left_alone_too(
    paths: BuilderPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with script(HOLDER, paths.supervisor_lock, "signs") as supervisor, silent(paths.control) as process:
        assert cli.main(["stop", "--force"]) == 2
        assert "End that program and delete the socket; `snowshed stop` again." in capsys.readouterr().err
        assert (process.poll(), supervisor.poll()) == (None, None)


@pytest.mark.parametrize("words", [["stop"], ["stop", "--force"], ["destroy", "--yes"]])
def test_a_supervisor_without_a_socket_is_told_to_end(words: list[str], paths: BuilderPaths) -> None:
    with script(HOLDER, paths.supervisor_lock, "signs") as process:
        assert cli.main(words) == 0
        assert process.wait(10) == -15
    assert paths.state.exists() == (words[0] == "stop")


def test_one_that_does_not_heed_the_signal_is_killed_by_force_alone(
    paths: BuilderPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "STOP_SILENCE", 0.01)
    with script(HOLDER, paths.supervisor_lock, "signs", "deaf") as process:
        assert cli.main(["stop"]) == 1
        assert "`snowshed stop --force` ends it" in capsys.readouterr().err
        assert process.poll() is None
        monkeypatch.setattr(stop, "SIGNAL_GRACE", 1.0)
        assert cli.main(["stop", "--force"]) == 0
        assert process.wait(10) == -9


@pytest.mark.parametrize("written", ["", "1\n", "-1\n", "none"])
def test_who_holds_the_lock_and_does_not_say_so_is_left_alone(
    written: str, paths: BuilderPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with script(HOLDER, paths.supervisor_lock) as process:
        paths.supervisor_lock.write_text(written)
        assert cli.main(["stop", "--force"]) == 2
        assert f"Find the process that holds {paths.supervisor_lock}" in capsys.readouterr().err
        assert process.poll() is None
