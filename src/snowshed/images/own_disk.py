"""The disk of a builder that boots by firmware: a copy of its image, grown to the size that it is to have.

Beside it lies ``disk.json``, which says what it is a copy of. A disk without one is a data disk, which guests that are
booted directly have. Neither is ever taken for the other, and no image for another: there are builds on it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..paths import BuilderPaths
from ..units import format_size
from . import copying, gpt
from .progress import Report

if TYPE_CHECKING:
    from .store import Image

STAGE = "the builder's copy"


def check(paths: BuilderPaths, image: str) -> None:
    """Raise `UserError` if the builder's disk is not for `image`: the name of a disk image, or empty for a guest that
    is booted directly and has a plain data disk. A disk that is not there yet fits both."""
    if not paths.disk.exists():
        return
    origin = origin_of(paths)
    if origin == image:
        return
    was = f"a copy of the image {origin}" if origin else "the data disk of a guest that is booted directly"
    other = f"the image {image} cannot take it over" if image else "a guest that is booted directly has no use for it"
    keep = f"--image {origin}" if origin else "an image that is booted directly"
    raise UserError(
        f"The disk of {paths.name} is {was}: {other}.",
        f"Start it with {keep}; make another builder with -b NAME; or give this one up with `snowshed destroy`.",
    )


def origin_of(paths: BuilderPaths) -> str:
    """The name of the image that the builder's disk is a copy of; empty where it is none."""
    if not paths.disk.exists():
        return ""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads(paths.disk_origin.read_text())["image"])
    return ""


def make(paths: BuilderPaths, image: Image, size: int, report: Report) -> None:
    """Give the builder a copy of the disk of `image`, grown to `size` bytes, unless it has one.

    Whoever comes meanwhile waits. An interrupted copy leaves nothing that counts. Raises `UserError`.
    """
    source = image.disk
    assert source is not None, "an image that is booted directly is not copied"
    with _alone(paths.state):
        check(paths, image.name)
        if paths.disk.exists():
            return
        _require_fitting(source, image, size)
        unfinished = paths.disk.with_name(".disk.img.new")
        try:
            unfinished.unlink(missing_ok=True)
            copying.copy(source, unfinished, report, STAGE)
            unfinished.chmod(0o600)
            os.truncate(unfinished, size // gpt.SECTOR * gpt.SECTOR)
            gpt.grow(unfinished)
            paths.disk_origin.write_text(json.dumps({"image": image.name, "digest": image.manifest.digest}) + "\n")
            unfinished.replace(paths.disk)
        finally:
            unfinished.unlink(missing_ok=True)


def _require_fitting(source: Path, image: Image, size: int) -> None:
    if size < source.stat().st_size:
        raise UserError(
            f"The image {image.name} has {format_size(source.stat().st_size)}, "
            f"and the builder's disk is to have {format_size(size)}.",
            "Give a larger --disk-size; the file is sparse and takes only what is written.",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder` itself: nothing is left of it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
