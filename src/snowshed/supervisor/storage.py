"""The files of a builder's state directory that belong to its machine: identity, data disk, locks."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
import uuid
from pathlib import Path

from .. import durable
from ..errors import UserError
from ..state import refuse_to_shrink

SECTOR = 512


def identity(mac_file: Path, machine_id_file: Path) -> tuple[str, str]:
    """The builder's own MAC address and machine id (a UUID), made at its first start and kept.

    The address is locally administered (02) with 40 random bits: a stable one per builder keeps lease tables small.
    """
    octets = secrets.token_bytes(5)
    mac = _once(mac_file, ":".join(f"{octet:02x}" for octet in (0x02, *octets)))
    machine_id = _once(machine_id_file, str(uuid.uuid4()))
    return mac, machine_id


def _once(path: Path, fresh: str) -> str:
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    durable.write(path, fresh.encode() + b"\n")
    return fresh


def prepare_disk(path: Path, size: int) -> None:
    """Make the sparse data disk, or grow it to `size` bytes; never shrinks. Raises `UserError`."""
    size = -(-size // SECTOR) * SECTOR
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        current = os.fstat(descriptor).st_size
        refuse_to_shrink(path, size)
        if current < size:
            os.ftruncate(descriptor, size)
            durable.sync_descriptor(descriptor)
    except OSError as error:
        smaller = "The file system takes no file of that size: use a smaller --disk-size."
        hint = smaller if error.errno == errno.EFBIG else "Make room on that disk."
        raise UserError(f"The data disk {path} cannot be made: {error.strerror}.", hint) from error
    finally:
        os.close(descriptor)


class Lock:
    """A held ``flock``: the only sign of life that a crash cannot fake."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Lock | None:
        """The lock on `path`, or None if somebody holds it.

        Who only looks whether it is held (`status`) shares it for an instant, hence the second and third try.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for pause in (0.02, 0.1, 0.0):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return cls(descriptor)
            except BlockingIOError:
                time.sleep(pause)
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Close our descriptor; the lock lives on where a child inherited it."""
        os.close(self.descriptor)
