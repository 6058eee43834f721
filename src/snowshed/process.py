"""The only module that starts processes, beside `child`, which does it for an event loop.

Short programs whose output is wanted: `run`. Replacing or leaving this process: `replace` and `detach`. A command that
fails is shown so that it can be pasted into a shell.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from .errors import GuestError, UserError

Argv = Sequence[str | Path]


def find(program: str, hint: str, *, folders: Iterable[str] = ()) -> str:
    """The path of `program` on ``PATH``, in the sbin folders or in `folders`. Raises `UserError` with `hint`."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", *folders]
    path = shutil.which(program, path=os.pathsep.join(places))
    if path is None:
        raise UserError(f"{program} is not installed.", hint)
    return path


def pasteable(argv: Argv) -> str:
    """`argv` as a line for a shell."""
    return shlex.join(str(word) for word in argv)


def run(
    argv: Argv,
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    Raises `GuestError` with the last lines of its standard error and the command line when it fails, and when it
    runs for more than `timeout` seconds; it is killed then. Ctrl-C ends it with us: it is in our process group.
    """
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise GuestError(
            f"{Path(str(argv[0])).name} did not end in {timeout:.0f} s.", f"The command was: {pasteable(argv)}"
        ) from None
    if done.returncode != 0:
        tail = " / ".join(done.stderr.decode(errors="replace").strip().splitlines()[-5:])
        raise GuestError(
            f"{Path(str(argv[0])).name} failed with status {done.returncode}: {tail or 'it said nothing'}",
            f"The command was: {pasteable(argv)}",
        )
    return done.stdout.decode(errors="replace")


class Outcome(NamedTuple):
    """How a program ended: its exit status, and what it said on both streams."""

    status: int
    out: str
    err: str


def attempt(argv: Argv, *, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 10.0) -> Outcome:
    """Run a program to its end, whatever that is. Never raises: 127 is the status of one that cannot be started, and
    124 that of one that was killed after `timeout` seconds (as timeout(1) has it)."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            input=stdin,
            capture_output=True,
            env=None if env is None else {**os.environ, **env},
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        return Outcome(124, _text(late.stdout), _text(late.stderr) or f"it did not end in {timeout:.0f} s")
    except OSError as error:
        return Outcome(127, "", f"{argv[0]}: {error.strerror}")
    return Outcome(done.returncode, _text(done.stdout), _text(done.stderr))


def exchange(argv: Argv, say: bytes, count: int, *, timeout: float) -> tuple[bytes, str]:
    """Start a program, tell it `say`, and return the first `count` bytes that it answers, with its error output; then
    end it. Fewer bytes where it ends, or says no more, within `timeout` seconds. Its input stays open meanwhile."""
    try:
        child = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        return b"", f"{argv[0]}: {error.strerror}"
    assert child.stdin is not None
    assert child.stdout is not None
    answer, deadline = b"", time.monotonic() + timeout
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(say)
            child.stdin.flush()
        while len(answer) < count and select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            more = os.read(child.stdout.fileno(), count - len(answer))
            if not more:
                break
            answer += more
    finally:
        child.kill()
        with suppress(BrokenPipeError):
            _, errors = child.communicate()
    return answer, _text(errors)


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def status_of(argv: Argv) -> int:
    """Run a program on our own terminal and return its exit status (128 + signal where one ended it)."""
    code = subprocess.call([str(word) for word in argv])
    return code if code >= 0 else 128 - code


def replace(argv: Argv, *, keep: Iterable[int] = ()) -> NoReturn:
    """Become `argv`, keeping the descriptors `keep` open in it."""
    for descriptor in keep:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(str(argv[0]), [str(word) for word in argv])


def detach(argv: Argv, *, log: Path, keep: Iterable[int] = ()) -> int:
    """Start `argv` in a session of its own, its output appended to `log`, and return its process id.

    It does not end with us, nor with our terminal.
    """
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=tuple(keep),
            cwd="/",
        )
    finally:
        os.close(output)
    child.returncode = 0  # it is nobody's to wait for: keeps Popen's destructor quiet
    return child.pid


def end_detached(pid: int, grace: float) -> None:
    """End the process that `detach` started for us: SIGTERM, `grace` seconds, SIGKILL; returns when it is gone.

    It is our child, so that its number cannot have become another's.
    """
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if await_detached(pid, patience):
            return


def await_detached(pid: int, patience: float) -> bool:
    """Wait up to `patience` seconds for the end of a process that `detach` started; whether it is gone."""
    deadline = time.monotonic() + patience
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if not _ends_within(pid, deadline - time.monotonic()):
                return False
    return True


def _ends_within(pid: int, seconds: float) -> bool:
    """Wait for the event that a child of ours has ended: a pidfd on Linux, a kqueue elsewhere."""
    if seconds <= 0:
        return False
    if sys.platform == "linux":
        descriptor = os.pidfd_open(pid)
        try:
            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)
    queue = select.kqueue()
    try:
        ends = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        return bool(queue.control([ends], 1, seconds))
    finally:
        queue.close()


@contextmanager
def output(argv: Argv) -> Iterator[Callable[[float], bytes | None]]:
    """The output of a program as it comes, without what it complains of; leaving the block ends it.

    What is given waits for so many seconds, and returns what has come: None for nothing, and empty at the end.
    """
    child = subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with child:
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        try:
            yield lambda seconds: os.read(descriptor, 1 << 16) if _is_readable(descriptor, seconds) else None
        finally:
            child.terminate()


def _is_readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


class Talk:
    """A program that answers on `answers` for as long as its input stays open (see `talking`)."""

    def __init__(self, child: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        assert child.stdout is not None
        self.answers: IO[bytes] = child.stdout
        self._child = child
        self._errors = errors

    def end(self) -> tuple[int, str]:
        """Close its input, and return its exit status and all that it said on standard error."""
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        status = self._child.wait()
        self._errors.seek(0)
        return status, _text(self._errors.read())


@contextmanager
def talking(argv: Argv, say: bytes) -> Iterator[Talk]:
    """Start a program and tell it `say`; its input stays open until `Talk.end`. Leaving the block ends it."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            assert child.stdin is not None
            with suppress(BrokenPipeError):
                child.stdin.write(say)
                child.stdin.flush()
            yield Talk(child, errors)
        finally:
            child.terminate()
            with suppress(BrokenPipeError):
                child.__exit__(None, None, None)


@contextmanager
def beside(argv: Argv) -> Iterator[None]:
    """A program whose output, without what it complains of, goes to our standard error while the block runs; leaving
    the block ends it."""
    child = subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        child.terminate()
        child.wait()
