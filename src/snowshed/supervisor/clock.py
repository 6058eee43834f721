"""Setting the clock of a guest that has just come up."""

from __future__ import annotations

from contextlib import suppress

from ..errors import SnowshedError
from .guest import LiveGuest

PATIENCE = 30.0
"""Seconds for a guest that has just come up."""


async def set_clock(guest: LiveGuest) -> None:
    """Set it to the host's. A guest whose agent does not answer is of use all the same, and keeps the time it has."""
    with suppress(SnowshedError, OSError, TimeoutError):
        await guest.unless_gone(guest.set_clock(), PATIENCE, "its clock was set")
