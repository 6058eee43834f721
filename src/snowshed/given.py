"""Files that a person names: read where they are files. A pipe would keep us waiting for a writer that may never come,
and a device may have no end."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def opened(file: Path) -> BinaryIO:
    """`file`, open for reading. Raises `OSError`, whose `strerror` says so where it is a pipe, a device or a socket."""
    mode = file.stat().st_mode
    for is_one, what in _KINDS:
        if is_one(mode):
            raise OSError(errno.EINVAL, f"it is {what}, not a file", str(file))
    return file.open("rb")


def read(file: Path) -> bytes:
    """The content of `file`. Raises what `opened` raises."""
    with opened(file) as stream:
        return stream.read()
