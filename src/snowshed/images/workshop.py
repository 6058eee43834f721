"""Where images come into being: in a folder of their own beside the finished ones, renamed when everything is on the
disk.

An interrupted piece of work leaves such a folder at most, and the next one sweeps it away: it holds a lock that ends
with its process, so whatever lies there then belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import durable, paths
from ..errors import UserError
from ..units import format_size
from . import manifest as manifests
from .manifest import Manifest
from .progress import Report

UNFINISHED = ".building-"


class NoRoom(UserError):
    """There is too little space where images are kept."""


@contextmanager
def only_one(report: Report) -> Iterator[None]:
    """Be the only one who makes images on this machine: wait for another, and sweep what a dead one left."""
    root = paths.images_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("ab")
    except OSError as error:
        raise UserError(
            f"Images cannot be kept in {root}: {error.strerror}.", "Check its permissions, or set XDG_CACHE_HOME."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another image build")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in root.glob(f"{UNFINISHED}*"):
            remove(leftover)
        yield


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder to work in, which is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=paths.images_root()))
    try:
        yield place
    finally:
        remove(place)


def require_space(needed: int, doing: str) -> None:
    """Raise `NoRoom` unless `needed` bytes are free where images are kept."""
    free = shutil.disk_usage(paths.images_root()).free
    if free < needed:
        raise NoRoom(
            f"{doing} needs {format_size(needed)} in {paths.cache_root()}, and {format_size(free)} is free.",
            "Make room there, or set XDG_CACHE_HOME to a folder on a larger disk.",
        )


def remove(place: Path) -> None:
    """Delete the folder `place`, also where packages brought folders that their owner may not write."""
    for folder_, _, _ in os.walk(place):
        Path(folder_).chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)


def publish(place: Path, target: Path, manifest: Manifest) -> None:
    """Move the finished files in `place` to `target`, where images are: all of them or none."""
    (place / manifests.NAME).write_bytes(manifests.encode(manifest))
    done = place / "done"
    done.mkdir()
    for name in (*manifest.files, manifests.NAME):
        (place / name).chmod(0o444)
        durable.sync(place / name)
        (place / name).rename(done / name)
    durable.sync(done)
    remove(target)  # nothing that `store.load` knows lies there, or the work would have ended with it
    done.rename(target)
    durable.sync(target.parent)
