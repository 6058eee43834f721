"""Which process holds a lock: it writes its id there, and is believed where it has the file open."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .errors import SnowshedError
from .process import run

LSOF_DEADLINE = 10.0
"""Seconds."""


def sign(descriptor: int) -> None:
    """Write our process id into the lock that we hold. A full disk keeps nobody from starting: it is a hint only."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def holder(lock: Path) -> int | None:
    """The process that signed `lock` and still has it open; None where nobody is known to."""
    try:
        pid = int(lock.read_text())
    except (OSError, ValueError):
        return None
    return pid if pid > 0 and holds(pid, lock) else None


def holds(pid: int, lock: Path) -> bool:
    """Whether process `pid` has `lock` open: a pid alone may be anybody's by now.

    Without ``/proc`` (macOS), lsof(8) knows; where it does not either, the answer is no, and the user is asked to look.
    """
    if not Path("/proc/self/fd").exists():
        with suppress(SnowshedError, OSError):
            return str(pid) in run(["/usr/sbin/lsof", "-t", "--", lock], timeout=LSOF_DEADLINE).split()
        return False
    with suppress(OSError):
        return any(fd.exists() and fd.samefile(lock) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False
