"""A builder's state directory on the disk: making it, telling whether it is one, and whether somebody holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UserError
from .paths import DEFAULT_BUILDER, BuilderPaths
from .units import format_size

PRIVATE = 0o700

FULL = (errno.ENOSPC, errno.EDQUOT)
MARKS = ("supervisor.lock", "ssh", "disk.img", "config.json")
"""Names of which a builder's state directory has at least one, whatever state it was left in."""


def prepare(paths: BuilderPaths) -> None:
    """Make the directories of a builder that are missing, private to us. Raises `UserError` where that cannot be."""
    for folder in (paths.state, paths.ssh):
        try:
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from error
    if not os.access(paths.state, os.W_OK | os.X_OK):
        raise _unusable(paths.state, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def prepare_runtime(paths: BuilderPaths) -> None:
    """Make the place for sockets, where that is not the state directory itself. Raises `UserError`.

    It may lie in a directory that everybody can write: it has to be ours alone.
    """
    if paths.runtime == paths.state:
        return
    folder = paths.runtime
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise UserError(
            f"{folder} is not a private directory of yours, so no socket can be put there.",
            "Remove it, or choose a shorter --state-dir, which needs no such directory.",
        )


def leave_runtime(paths: BuilderPaths) -> None:
    """Take away what `prepare_runtime` made, if nothing is in it."""
    if paths.runtime != paths.state:
        with suppress(OSError):
            paths.runtime.rmdir()


def _unusable(folder: Path, error: OSError) -> UserError:
    if error.errno in FULL:
        return UserError(f"There is no space left for {folder}.", "Free some, or choose another --state-dir.")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UserError(
            f"The state directory {folder} cannot be made: a file is in the way.", "Choose another --state-dir."
        )
    return UserError(
        f"The state directory {folder} cannot be written: {error.strerror}.",
        "Make it writable for you, or choose another --state-dir.",
    )


def held(lock: Path, *, shared: bool = False) -> bool:
    """Whether a living process holds the ``flock`` on `lock`. This looks for an instant and never keeps it.

    `shared`: holders share it, so that only who asks for all of it meets them.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def unreachable(name: str) -> UserError:
    """The error for a supervisor that holds its lock while nobody listens at its control socket."""
    option = "" if name == DEFAULT_BUILDER else f" -b {name}"
    return UserError(
        f"The supervisor of {name} cannot be reached: it is just starting or ending, or its control socket is gone.",
        f"Try again in a moment; if it stays so, `snowshed stop{option}` ends it.",
    )


def await_release(lock: Path, patience: float) -> bool:
    """Wait up to `patience` seconds until nobody holds the ``flock`` on `lock`; whether that came true.

    For the main thread: there is no other deadline for a lock than the alarm.
    """

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError

    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, patience)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except TimeoutError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(descriptor)
    return True


@contextmanager
def kept_from_starting(paths: BuilderPaths) -> Iterator[None]:
    """While the block runs, no supervisor of this builder can start. Raises `UserError` if one lives."""
    descriptor = os.open(paths.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"The builder {paths.name} is still running.", "Stop it first: `snowshed stop`.") from error
    else:
        yield
    finally:
        os.close(descriptor)


def is_builder(folder: Path) -> bool:
    """Whether `folder` looks like the state directory of a builder, and like nothing else.

    It has one of our names in it, and it is no directory that people or the system live in.
    """
    if folder.is_symlink() or not folder.is_dir() or folder in (Path("/"), Path.home(), Path.home().parent):
        return False
    return any((folder / mark).exists() for mark in MARKS) and not any(
        (folder / name).exists() for name in (".git", ".ssh", ".config", "etc", "usr")
    )


def builders(root: Path) -> list[str]:
    """The names of the builders whose state lies under `root`, sorted."""
    try:
        return sorted(folder.name for folder in root.iterdir() if is_builder(folder))
    except OSError:
        return []


def refuse_to_shrink(disk: Path, size: int) -> None:
    """Raise `UserError` where the data disk exists and is larger than `size` bytes, in whole sectors."""
    try:
        current = disk.stat().st_size
    except OSError:
        return
    if current > -(-size // 512) * 512:
        raise UserError(
            f"The data disk has {format_size(current)} and cannot shrink to {format_size(size)}.",
            "Give at least its present size, or remove the builder with `snowshed destroy` and start anew.",
        )
