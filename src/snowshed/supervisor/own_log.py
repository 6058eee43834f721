"""Keeping the file behind our standard error small.

launchd, or whoever started us, has opened that file and cannot be made to open it again (newsyslog's way of renaming
would leave us writing to the old one). So it is copied away and cut in place.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

_GETPATH = 50
"""``F_GETPATH`` of macOS, ``sys/fcntl.h``: the path of an open file."""
_LONGEST_PATH = 1024


def keep_small(descriptor: int, limit: int) -> None:
    """Move the contents of the file behind `descriptor` to ``<name>.1`` once it has more than `limit` bytes.

    A terminal or a pipe is left alone, and so is a file that cannot be copied.
    """
    with suppress(OSError):
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_size > limit:
            _cut(descriptor, path_of(descriptor))


def path_of(descriptor: int) -> Path:
    """The path of an open file. Raises `OSError`."""
    if sys.platform == "darwin":
        return Path(os.fsdecode(fcntl.fcntl(descriptor, _GETPATH, bytes(_LONGEST_PATH)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _cut(descriptor: int, path: Path) -> None:
    aside = path.with_name(f"{path.name}.1")
    temporary = path.with_name(f".{path.name}.1.new")
    with path.open("rb") as source, temporary.open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        while chunk := source.read(1 << 20):
            target.write(chunk)
    temporary.replace(aside)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)  # else the next line would land behind a hole
    os.ftruncate(descriptor, 0)
