"""Directories of the host in the guest: one virtiofsd for each."""

from __future__ import annotations

from ...process import find

_FOLDERS = ("/usr/libexec", "/usr/lib/qemu", "/usr/lib", "/usr/lib/virtiofsd")


def find_virtiofsd() -> str:
    """The path of virtiofsd. Raises `UserError` with how to install it."""
    return find(
        "virtiofsd",
        "Install it: `apt install virtiofsd` on Debian and Ubuntu (with QEMU 7 it is part of qemu-system-common).",
        folders=_FOLDERS,
    )
