"""A guest that runs and that nobody uses gives back the memory that holds nothing but copies of files.

The host has them in a cache of its own, so that the next build reads them from there. What programs hold, and what they
freed before, is not our business: the balloon device tells the host of all that is free, as it becomes so.
"""

from __future__ import annotations

from ..errors import SnowshedError
from ..units import format_size
from .builder import Builder
from .idle import Leases
from .journal import Journal


class GivingBack:
    """Called when nobody has needed the guest for a while. `useful`: the host gets what the guest frees."""

    def __init__(self, builder: Builder, leases: Leases, journal: Journal, *, useful: bool) -> None:
        self._builder = builder
        self._leases = leases
        self._journal = journal
        self._useful = useful

    async def give_back(self) -> None:
        """Contains every error: nothing depends on it."""
        guest = self._builder.guest
        if not self._useful or guest is None or not self._builder.is_running(guest) or self._leases:
            return
        try:
            freed = await guest.drop_cache()
        except (SnowshedError, OSError, ValueError) as error:
            self._journal.say(f"The guest did not give its cache back: {error}", level="warning")
            return
        if freed > 0:
            self._journal.say(f"Nobody uses the guest: it gives {format_size(freed)} of its file cache back.")
