"""What is asked of a live guest beside its work, and of which nothing depends: each failure is no more than a gap."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from ..errors import SnowshedError
from .clock import set_clock
from .datadisk import Mark, file_system_of, mark_on
from .guest import LiveGuest
from .launch import Launcher
from .notes import Notes

SETTLE_SECONDS = 30.0
"""For a guest that has just come up, or has much to write."""

TIDY_SECONDS = 60.0


async def settle_in(guest: LiveGuest, launcher: Launcher) -> None:
    """After a boot: set the clock, which may be off by a second or two until then, write on the disk whose it is, and
    see how full it is. The first search for freed blocks takes longest, and no suspend should have to wait for it."""
    await set_clock(guest)
    await _mark(guest, launcher.paths.disk, launcher.mark())
    await tidied(guest, launcher.notes)


async def _mark(guest: LiveGuest, disk: Path, mark: Mark) -> None:
    """The guest writes: it has the file system's first block in its memory, and would write over what we do."""
    if file_system_of(disk) and mark_on(disk) != mark:
        with suppress(SnowshedError, OSError, TimeoutError):
            await guest.unless_gone(guest.mark_disk(str(mark)), SETTLE_SECONDS, "its disk was marked")


async def tidied(guest: LiveGuest, notes: Notes) -> None:
    """Nothing is only in the guest's memory any more, and what it has freed is the host's again."""
    with suppress(SnowshedError, OSError, TimeoutError):
        notes.used(await guest.unless_gone(guest.tidy(), TIDY_SECONDS, "it wrote everything out"), time.time())


async def note_use(guest: LiveGuest, notes: Notes, patience: float = SETTLE_SECONDS) -> None:
    """Ask the guest how full its disk is, and keep the answer."""
    with suppress(SnowshedError, OSError, TimeoutError):
        notes.used(await guest.unless_gone(guest.disk_used(), patience, "it said how full its disk is"), time.time())
