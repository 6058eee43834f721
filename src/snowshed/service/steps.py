"""What an installation consists of, as values: a person can read them first, and a test compare them whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import durable, process
from ..errors import GuestError, UserError


@dataclass(frozen=True)
class Folder:
    """A directory to be there, with this mode and, where one is named, this owner and group."""

    path: Path
    mode: int = 0o755
    owner: str = ""

    def __str__(self) -> str:
        who = f", {self.owner}'s" if self.owner else ""
        return f"directory {self.path} ({self.mode:04o}{who})"


@dataclass(frozen=True)
class Write:
    """A file to hold `data`. `keep`: one that is there already stays as it is."""

    path: Path
    data: bytes
    mode: int = 0o644
    keep: bool = False

    def __str__(self) -> str:
        return f"file {self.path}"


@dataclass(frozen=True)
class Run:
    """A command to succeed; with `may_fail` it may also be that there is nothing for it to do."""

    argv: tuple[str, ...]
    may_fail: bool = False

    def __str__(self) -> str:
        return f"run {process.pasteable(self.argv)}"


@dataclass(frozen=True)
class Remove:
    """A file, or a directory with all that is in it, to be gone. `if_empty`: only a directory without anything."""

    path: Path
    if_empty: bool = False

    def __str__(self) -> str:
        return f"remove {self.path}{' if it is empty' if self.if_empty else ''}"


Step = Folder | Write | Run | Remove

COMMAND_PATIENCE = 300.0
"""Seconds for a command. systemctl itself gives a daemon-reload 180 s, and says more about it then than we could."""


def run(argv: Sequence[str], *, may_fail: bool = False) -> Run:
    return Run(tuple(argv), may_fail)


def carry_out(steps: Iterable[Step], say: Callable[[str], None]) -> None:
    """Do `steps` in order, telling each. Raises `SnowshedError` at the first that fails."""
    for step in steps:
        say(str(step))
        try:
            _do(step)
        except OSError as error:
            raise UserError(f"{step}: {error.strerror or error}.", "Mend that, and do this again.") from error


def _do(step: Step) -> None:
    match step:
        case Folder(path, mode, owner):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
            if owner:
                shutil.chown(path, owner, owner)
        case Write(path, data, mode, keep):
            if not (keep and path.exists()):
                _write(path, data, mode)
        case Run(argv, may_fail):
            _run(argv, may_fail=may_fail)
        case Remove(path, if_empty):
            _remove(path, if_empty=if_empty)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, data, mode)


def _run(argv: tuple[str, ...], *, may_fail: bool) -> None:
    try:
        process.run(argv, timeout=COMMAND_PATIENCE)
    except FileNotFoundError as error:
        if not may_fail:
            raise UserError(f"{argv[0]} is not installed.", "It is what services are made with here.") from error
    except GuestError:
        if not may_fail:
            raise


def _remove(path: Path, *, if_empty: bool) -> None:
    try:
        if if_empty:
            path.rmdir()
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError:
        if not if_empty:
            raise
