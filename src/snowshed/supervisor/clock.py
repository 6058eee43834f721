"""A guest's clock: set to the host's when it has come up, and again where it does not keep the time."""

from __future__ import annotations

from contextlib import suppress

from ..errors import SnowshedError
from ..units import format_duration
from .guest import LiveGuest
from .journal import Journal

PATIENCE = 30.0
"""Seconds for a guest that has just come up."""

SKEW = 2.0
"""Seconds that a guest's clock may be off."""


async def set_clock(guest: LiveGuest) -> None:
    """Set it to the host's. A guest whose agent does not answer is of use all the same, and keeps the time it has."""
    with suppress(SnowshedError, OSError, TimeoutError):
        await guest.unless_gone(guest.set_clock(), PATIENCE, "its clock was set")


async def keep_time(guest: LiveGuest, journal: Journal) -> None:
    """Set a clock that is off, and say so: an emulated processor's may go wrong on a host that is very busy."""
    with suppress(SnowshedError, OSError, TimeoutError, ValueError, TypeError):
        ahead = await guest.unless_gone(guest.clock_ahead(), PATIENCE, "it told the time")
        if abs(ahead) > SKEW:
            await guest.unless_gone(guest.set_clock(), PATIENCE, "its clock was set")
            off = f"{format_duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
            journal.say(f"The guest's clock was {off}; it is set.", level="warning")
