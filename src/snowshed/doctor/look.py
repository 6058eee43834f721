"""How the doctor looks at things: at programs, at files, and at what only Python can tell.

All that a check sees comes through a `Look`. What one saw can be written down (`Recording`) and judged again later,
on any machine (`Recorded`): the tests judge recordings of Macs, and a bug report can carry one.

Nothing secret is looked at: of a private key only its owner and mode.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from .. import given
from ..config import BuilderConfig
from ..process import Outcome, attempt

PATIENCE = 10.0
"""Seconds for one program."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Whom and what is examined. `config` is None where it cannot be read; `complaint` says why."""

    platform: str = sys.platform
    uid: int = 0
    home: str = "/root"
    builder: str = "default"
    state: str
    config_file: str = ""
    config: BuilderConfig | None = None
    complaint: str = ""
    hint: str = ""

    @property
    def option(self) -> str:
        """What a command line needs to mean this builder."""
        return "" if self.builder == "default" else f" -b {self.builder}"

    @property
    def is_root(self) -> bool:
        return self.uid == 0


class FileFacts(msgspec.Struct, frozen=True):
    """What a file is like; `mode` holds the permission bits alone, `target` is what a symbolic link leads to."""

    kind: str
    mode: int
    uid: int
    size: int
    target: str = ""


class Look(Protocol):
    """What a check sees of the world."""

    case: Case

    def run(self, *argv: str, patience: float = PATIENCE) -> Outcome:
        """How a program ends and what it says; status 127 where there is no such program."""

    def read(self, path: str | Path) -> str | None:
        """A file's text, None where it cannot be read."""

    def facts(self, path: str | Path) -> FileFacts | None:
        """What a file is like, None where there is none to be seen."""

    def fact(self, name: str, probe: Callable[[], Any]) -> Any:
        """What `probe` finds out; a value that JSON can hold."""


class Live:
    """Looks at this machine, now."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def run(self, *argv: str, patience: float = PATIENCE) -> Outcome:
        return attempt(argv, env={"LC_ALL": "C"}, timeout=patience)

    def read(self, path: str | Path) -> str | None:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return None

    def facts(self, path: str | Path) -> FileFacts | None:
        try:
            found = Path(path).stat()
            target = str(Path(path).resolve()) if Path(path).is_symlink() else ""
        except OSError:
            return None
        return FileFacts(_kind(found.st_mode), stat.S_IMODE(found.st_mode), found.st_uid, found.st_size, target)

    def fact(self, name: str, probe: Callable[[], Any]) -> Any:
        return probe()


class Record(msgspec.Struct):
    """All that was seen in one examination."""

    case: Case
    ran: dict[str, Outcome] = {}
    read: dict[str, str | None] = {}
    files: dict[str, FileFacts | None] = {}
    facts: dict[str, Any] = {}


class Recording:
    """Looks as `look` does, at everything once, and writes down what it saw."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.case = look.case
        self.record = Record(look.case)

    def run(self, *argv: str, patience: float = PATIENCE) -> Outcome:
        return _once(self.record.ran, shlex.join(argv), lambda: self._look.run(*argv, patience=patience))

    def read(self, path: str | Path) -> str | None:
        return _once(self.record.read, str(path), lambda: self._look.read(path))

    def facts(self, path: str | Path) -> FileFacts | None:
        return _once(self.record.files, str(path), lambda: self._look.facts(path))

    def fact(self, name: str, probe: Callable[[], Any]) -> Any:
        return _once(self.record.facts, name, lambda: self._look.fact(name, probe))


T = TypeVar("T")


def _once(seen: dict[str, T], name: str, look: Callable[[], T]) -> T:
    if name not in seen:
        seen[name] = look()
    return seen[name]


class Unseen(LookupError):
    """A recording does not say what is asked of it."""


class Recorded:
    """Looks at what was written down."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.case = record.case

    def run(self, *argv: str, patience: float = PATIENCE) -> Outcome:
        return Outcome(*_of(self._record.ran, shlex.join(argv)))

    def read(self, path: str | Path) -> str | None:
        text: str | None = _of(self._record.read, str(path))
        return text

    def facts(self, path: str | Path) -> FileFacts | None:
        found: FileFacts | None = _of(self._record.files, str(path))
        return found

    def fact(self, name: str, probe: Callable[[], Any]) -> Any:
        return _of(self._record.facts, name)


def write(record: Record, file: Path) -> None:
    """Write a recording, readable for its owner alone: it names users, paths and programs of a machine.

    Raises `OSError`; nothing half-made is left then.
    """
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(text + b"\n")
    except OSError:
        if file.is_file():
            file.unlink()
        raise


def load(file: Path) -> Record:
    """The recording in `file`. Raises `OSError` and `msgspec.MsgspecError`."""
    return msgspec.json.decode(given.read(file), type=Record)


def _of(seen: dict[str, Any], name: str) -> Any:
    if name not in seen:
        raise Unseen(name)
    return seen[name]


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"))
    return next((name for is_one, name in kinds if is_one(mode)), "other")
