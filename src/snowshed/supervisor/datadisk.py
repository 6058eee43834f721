"""What lies in the place of the data disk, before a guest is given it: it may be anything that somebody put there.

An ext4's magic number and its identity are at 0x38 and 0x68 of its superblock, which begins at 1024, after room for a
boot loader that nothing else uses (Linux, Documentation/filesystems/ext4/super.rst). In that room stands our mark: the
name and the machine id of the builder that the disk belongs to. The id decides; the name is for people.
"""

from __future__ import annotations

import re
import shlex
import uuid
from pathlib import Path

import msgspec

from ..errors import UserError
from ..guest.contract import contract
from ..images import gpt
from ..images.raw import HEAD, other_format

SUPERBLOCK = 1024
MAGIC = b"\x53\xef"
_MARK = re.compile(rb"snowshed data disk of ([^\s\x00-\x1f]+) ([0-9a-f-]{36})\n")


class Mark(msgspec.Struct, frozen=True):
    """Whose a disk is: the builder's name, and its machine id, which it keeps when it is moved or renamed."""

    name: str
    machine: str

    def __str__(self) -> str:
        return f"snowshed data disk of {self.name} {self.machine}"


def beginning(disk: Path) -> int:
    """The byte at which the file system for data begins: 0, but for a disk that firmware boots, with partitions."""
    try:
        with disk.open("rb") as stream:
            partitions = gpt.read(stream).partitions
    except (OSError, gpt.GptError):
        return 0
    return next((part.first * gpt.SECTOR for part in partitions if part.name == contract().labels.data), 0)


def _head(disk: Path) -> bytes:
    try:
        with disk.open("rb") as stream:
            stream.seek(beginning(disk))
            return stream.read(SUPERBLOCK + 0x78)
    except OSError:
        return b""


def file_system_of(disk: Path) -> str:
    """The identity (a UUID) of the ext4 on `disk`; empty where there is none."""
    block = _head(disk)[SUPERBLOCK:]
    return str(uuid.UUID(bytes=block[0x68:0x78])) if block[0x38:0x3A] == MAGIC and len(block) == 0x78 else ""


def mark_on(disk: Path) -> Mark | None:
    """Whose `disk` is; None where nobody has marked it."""
    found = _MARK.match(_head(disk))
    return Mark(found[1].decode(errors="replace"), found[2].decode()) if found else None


def check(disk: Path, ours: Mark, expected: str) -> None:
    """Raise `UserError` unless `disk` may be given to the guest: it is not there yet, or raw, and `ours`; one without a
    mark is ours if it has the file system `expected` (empty: not known yet). What is on it is left to the guest, which
    formats only a blank one."""
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
    _check_owner(disk, ours, expected)


def _check_owner(disk: Path, ours: Mark, expected: str) -> None:
    mark, found = mark_on(disk), file_system_of(disk)
    notes = disk.with_name("guest.json")
    if mark is None and expected and found and found != expected:
        raise UserError(
            f"The data disk {disk} is that of another builder: it holds the file system {found}, and this builder's "
            f"is {expected}.",
            f"Put the right one back; or, if this one is to be kept, remove {notes}.",
        )
    if mark is not None and mark.machine != ours.machine:
        sector = beginning(disk) // gpt.SECTOR
        wipe = f"dd if=/dev/zero of={shlex.quote(str(disk))} bs=512 seek={sector} count=1 conv=notrunc"
        raise UserError(
            f"The data disk {disk} is that of another builder, which is named {mark.name}.",
            f"Put the right one back; or, if this one is to be kept, take its name off, `{wipe}`"
            + (f", and remove {notes}." if expected and expected != found else "."),
        )
