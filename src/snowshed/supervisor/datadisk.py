"""What lies in the place of the data disk, before a guest is given it: it may be anything that somebody put there.

An ext4's magic number and its identity are at 0x38 and 0x68 of its superblock, which begins at 1024
(Linux, Documentation/filesystems/ext4/super.rst).
"""

from __future__ import annotations

import uuid
from pathlib import Path

from ..errors import UserError
from ..images.raw import HEAD, other_format

SUPERBLOCK = 1024
MAGIC = b"\x53\xef"


def file_system_of(disk: Path) -> str:
    """The identity (a UUID) of the ext4 on `disk`; empty where there is none."""
    try:
        with disk.open("rb") as stream:
            stream.seek(SUPERBLOCK)
            block = stream.read(0x78)
    except OSError:
        return ""
    return str(uuid.UUID(bytes=block[0x68:0x78])) if block[0x38:0x3A] == MAGIC and len(block) == 0x78 else ""


def check(disk: Path, expected: str) -> None:
    """Raise `UserError` unless `disk` may be given to the guest: it is not there yet, or ours, raw, and the one with
    the file system `expected` (empty: not known yet). What is on it is left to the guest, which formats only a blank
    one."""
    try:
        if not disk.exists():
            return
        if not disk.is_file():
            raise UserError(f"The data disk {disk} is not a file.", "Move away what lies there.")
        with disk.open("r+b") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise UserError(
            f"The data disk {disk} cannot be opened for writing: {error.strerror}.",
            "It has to belong to the user who runs the builder.",
        ) from error
    name = other_format(head)
    if name:
        raise UserError(
            f"The data disk {disk} is not a raw image: it is {name}.",
            f"Convert it, `qemu-img convert -O raw {disk} raw.img`, and put that in its place.",
        )
    found = file_system_of(disk)
    if expected and found and found != expected:
        raise UserError(
            f"The data disk {disk} is that of another builder: it holds the file system {found}, and this builder's "
            f"is {expected}.",
            f"Put the right one back; or, if this one is to be kept, remove {disk.with_name('guest.json')}.",
        )
