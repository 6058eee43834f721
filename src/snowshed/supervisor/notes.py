"""What the guest told of itself, in ``guest.json``: a builder that sleeps cannot be asked, and has it all the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from .. import durable
from ..model.told import Told, booting, heard
from .datadisk import file_system_of

FRESH = 60.0
"""Seconds that the date of an unchanged figure may lag behind in the file."""


class Notes:
    """The last that is known of a builder's guest."""

    def __init__(self, file: Path, disk: Path) -> None:
        self._file = file
        self._disk = disk
        self.told = Told()
        with suppress(OSError, msgspec.MsgspecError):
            self.told = msgspec.json.decode(file.read_bytes(), type=Told)

    def boots(self) -> None:
        """The guest begins anew."""
        self._now(booting(self.told))

    def hear(self, fact: str) -> None:
        """What the guest said after its mark for facts."""
        self._now(heard(self.told, fact))

    def used(self, size: int, at: float) -> None:
        """Files take `size` bytes of the data disk, at `at` seconds since the epoch."""
        before = self.told
        told = msgspec.structs.replace(before, disk_used=size, disk_used_at=at, disk_id=file_system_of(self._disk))
        if (size, told.disk_id) == (before.disk_used, before.disk_id) and at - (before.disk_used_at or 0.0) < FRESH:
            self.told = told
        else:
            self._now(told)

    def _now(self, told: Told) -> None:
        """Nothing depends on the file: a full disk costs no more than what it would have told."""
        if told != self.told:
            self.told = told
            with suppress(OSError):
                durable.write(self._file, msgspec.json.encode(told))
