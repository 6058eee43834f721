"""What is asked of a live guest beside its work, and of which nothing depends: each failure is no more than a gap."""

from __future__ import annotations

import time
from contextlib import suppress

from ..errors import SnowshedError
from .guest import LiveGuest
from .notes import Notes

SETTLE_SECONDS = 30.0
"""For a guest that has just come up, or has much to write."""


async def settle_in(guest: LiveGuest, notes: Notes) -> None:
    """After a boot: set the clock, which may be off by a second or two until then, and see how full the disk is."""
    with suppress(SnowshedError, OSError, TimeoutError):
        await guest.unless_gone(guest.set_clock(time.time()), SETTLE_SECONDS, "its clock was set")
    await note_use(guest, notes)


async def note_use(guest: LiveGuest, notes: Notes, patience: float = SETTLE_SECONDS) -> None:
    """Ask the guest how full its disk is, and keep the answer."""
    with suppress(SnowshedError, OSError, TimeoutError):
        notes.used(await guest.unless_gone(guest.disk_used(), patience, "it said how full its disk is"), time.time())
