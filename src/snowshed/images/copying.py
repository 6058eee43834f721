"""Copies of large files with holes: at once and sharing their blocks where the file system can, else what is written
of them, and holes where zeroes are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from .. import durable
from ..sparse import extents
from ..units import MIB
from .progress import Report

FICLONE = 0x40049409
"""ioctl_ficlone(2): share all blocks of another file."""

BLOCK = 64 << 10
"""Bytes that become a hole where all of them are zero."""

_ZEROES = bytes(BLOCK)


def copy(source: Path, target: Path, report: Report, stage: str) -> None:
    """Make the new file `target` like `source`. Raises `OSError`."""
    if _clone(source, target):
        report(stage, 1.0)
        return
    with source.open("rb") as old, target.open("wb") as new:
        _pour(old, new, report, stage)
        durable.sync_descriptor(new.fileno())


def copy_and_digest(source: Path, target: Path, report: Report, stage: str) -> str:
    """The same, and the SHA-256 of what both hold then (64 hex digits)."""
    shared = _clone(source, target)
    digest = hashlib.sha256()
    with (target if shared else source).open("rb") as old, Path(os.devnull if shared else target).open("wb") as new:
        _pour(old, new, report, stage, digest, write=not shared)
        if not shared:
            durable.sync_descriptor(new.fileno())
    return digest.hexdigest()


def _clone(source: Path, target: Path) -> bool:
    """Let `target` share the blocks of `source`; whether that is possible."""
    if sys.platform == "darwin":
        return _clone_on_mac(source, target)
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            return False
    return True


def _clone_on_mac(source: Path, target: Path) -> bool:
    """clonefile(2) wants to make the file itself."""
    import ctypes

    with suppress(FileNotFoundError):
        target.unlink()
    status = ctypes.CDLL(None).clonefile(os.fsencode(source), os.fsencode(target), ctypes.c_int(0))
    if status == 0:
        target.chmod(0o600)
    return bool(status == 0)


def _pour(
    old: BinaryIO,
    new: BinaryIO,
    report: Report,
    stage: str,
    digest: hashlib._Hash | None = None,
    *,
    write: bool = True,
) -> None:
    size = os.fstat(old.fileno()).st_size
    if write:
        new.truncate(size)
    report(stage, 0.0)
    place = 0
    for start, end in extents(old.fileno(), size):
        _skip(digest, start - place)
        old.seek(start)
        place = start
        while place < end and (data := old.read(min(MIB, end - place))):
            if digest is not None:
                digest.update(data)
            if write:
                write_sparsely(new, place, data)
            place += len(data)
            report(stage, place / size)
    _skip(digest, size - place)
    report(stage, 1.0)


def _skip(digest: hashlib._Hash | None, size: int) -> None:
    """Let `digest` see so many zeroes."""
    if digest is None:
        return
    for _ in range(size // BLOCK):
        digest.update(_ZEROES)
    digest.update(_ZEROES[: size % BLOCK])


def write_sparsely(new: IO[bytes], place: int, data: bytes) -> None:
    """Write `data` at `place` of a file that is zeroes so far: a hole stays where all of a block is zero."""
    for offset in range(0, len(data), BLOCK):
        block = data[offset : offset + BLOCK]
        if block != _ZEROES[: len(block)]:
            new.seek(place + offset)
            new.write(block)
