"""vhost-vsock: sockets straight to the guest, where the host's kernel really has them.

The device, its ioctl and the ids that are taken (0 to 2) are those of Linux's ``include/uapi/linux/vhost.h`` and
``vm_sockets.h``. A context id belongs to whoever claimed it with an open ``/dev/vhost-vsock``, for as long as that is
open: QEMU inherits the very descriptor, so no other program can come between.
"""

from __future__ import annotations

import errno
import os
import secrets
import struct
import sys
from pathlib import Path

DEVICE = Path("/dev/vhost-vsock")
TRIES = 8

_VHOST_VSOCK_SET_GUEST_CID = 0x4008AF60
_FIRST, _LAST = 1 << 16, (1 << 31) - 1


class VsockContext:
    """A context id that is ours while the descriptor is open here or in a process that inherited it."""

    def __init__(self, descriptor: int, number: int) -> None:
        self.descriptor = descriptor
        self.number = number

    def close(self) -> None:
        """Let go of the descriptor. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def claim(device: Path = DEVICE) -> VsockContext | None:
    """A context id for a new guest, or None where there is no vsock that works."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    for _ in range(TRIES):
        number = _FIRST + secrets.randbelow(_LAST - _FIRST)
        try:
            fcntl.ioctl(descriptor, _VHOST_VSOCK_SET_GUEST_CID, struct.pack("=Q", number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            break
        return VsockContext(descriptor, number)
    os.close(descriptor)
    return None


def works() -> bool:
    """Whether a context id can be had here."""
    context = claim()
    if context is None:
        return False
    context.close()
    return True
