"""Writing so that a crash or a power cut leaves the old content or the new, never a part of it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""macOS: its fsync leaves data in the drive's own cache, and only this asks the drive to write it (fsync(2) there)."""


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Make `path` hold `data`, wholly or not at all, and surely once this returns."""
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        os.fchmod(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        sync_descriptor(descriptor)
    except OSError as error:
        error.filename = str(path)  # a full disk's names none
        raise
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def begin(path: Path) -> None:
    """Have the disk take what is in a file by now, so that a later `sync` has less to wait for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Make what was written to `descriptor` survive a power cut."""
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
        except OSError:  # a file system that has no such thing, as on a server
            pass
    os.fsync(descriptor)
