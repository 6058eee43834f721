"""Taking over the sockets that launchd holds for us: launch_activate_socket(3), by ctypes.

launchd gives each set of sockets away once in the life of a process. The call returns an errno, and the array of
descriptors is ours to free.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any

from ..errors import Bug

LIBRARY = "/usr/lib/libSystem.B.dylib"

NOT_OURS = (errno.ENOENT, errno.ESRCH)
"""Our job has no sockets of that name; or we are no job of launchd's at all."""


def activate(name: str, library: Any = None) -> list[int]:
    """The listening descriptors of the plist's socket `name`; empty where launchd has none for us.

    Raises `Bug` when they were taken before. `library` is what has the two C functions, by default the system's.
    """
    if library is None:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    take, free = library.launch_activate_socket, library.free
    take.argtypes = [
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_int)),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    take.restype = ctypes.c_int
    free.argtypes, free.restype = [ctypes.c_void_p], None
    descriptors, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
    status = take(name.encode(), ctypes.byref(descriptors), ctypes.byref(count))
    try:
        if status in NOT_OURS:
            return []
        if status != 0:
            raise Bug(f"launchd does not give us the socket {name}: {os.strerror(status)}.")
        return [descriptors[index] for index in range(count.value)]
    finally:
        if descriptors:
            free(ctypes.cast(descriptors, ctypes.c_void_p))
