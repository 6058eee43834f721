"""Collecting garbage when the guest's disk gets full, at a moment when it takes nothing away that a build needs.

Nix's own automatic collection (``min-free``) begins with a build: it looks for what is in use, which that build's
inputs are not yet, and deletes those of them that were there before (NixOS/nix issue 2285). A client whose paths were
said to be there is just as unprotected. So it is off in the guest; when a client has left, the disk is looked at, and
garbage is collected while nobody talks to the guest's Nix and who comes is held. When a person asks for it, it is
collected at once, and who comes is held as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..units import format_size
from .builder import Builder
from .guest import COLLECT_SECONDS
from .idle import Leases
from .journal import Journal

LOOK_SECONDS = 20.0
"""For a guest that may be busy to say how much is free."""

NO_USE = 0.97
"""Part of what the last collection left free, above which another one would find no more: Nix's own measure."""


class Collecting:
    """Keeps `least` bytes free in the guest, if garbage is all it takes; once at it, goes on to `enough`."""

    def __init__(self, builder: Builder, leases: Leases, journal: Journal, least: int, enough: int) -> None:
        self._builder = builder
        self._leases = leases
        self._journal = journal
        self._least = least
        self._enough = enough
        self._left_free: int | None = None
        self._turn = asyncio.Lock()

    async def done(self) -> None:
        """Return when no garbage is being collected: for clients that have just come."""
        async with self._turn:
            pass

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While the block runs, the guest is kept awake, and who comes is held."""
        async with self._turn:
            with self._leases.hold("garbage collection"):
                yield

    async def look(self) -> None:
        """Collect garbage if it is time. Raises `SnowshedError` or `OSError` where the guest does not do its part."""
        guest = self._builder.guest
        if guest is None or self._builder.ready_at is None or not self._builder.is_running(guest):
            return
        free = await guest.unless_gone(guest.disk_free(), LOOK_SECONDS, "it said how much of its disk is free")
        if free >= self._least:
            self._left_free = None  # whatever fills the disk from here on may be garbage
            return
        if self._left_free is not None and free > NO_USE * self._left_free:
            return
        async with self.alone():
            work = guest.collect_unless_busy(self._enough - free)
            said = await guest.unless_gone(work, COLLECT_SECONDS, "it had collected garbage")
        if said:
            self._left_free = await guest.disk_free()
            self._journal.say(
                f"Only {format_size(free)} of the guest's disk were free: garbage is collected, {said}; "
                f"{format_size(self._left_free)} are free."
            )
