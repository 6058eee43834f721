"""Where a sparse file has data."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator


def extents(descriptor: int, end: int, begin: int = 0) -> Iterator[tuple[int, int]]:
    """The parts of an open file from `begin` to `end` that hold data, first byte and end; what lies between them is
    zeroes. All of it where the file system does not tell (lseek(2): SEEK_DATA)."""
    place = begin
    while place < end:
        try:
            start = os.lseek(descriptor, place, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except AttributeError:  # a Python that was built without them
            yield place, end
            return
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says that there is nothing but a hole
                yield place, end
            return
        if start < end:
            yield start, min(stop, end)
        place = stop
