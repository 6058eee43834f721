"""What is done with a guest that nobody uses."""

from __future__ import annotations

from collections.abc import Callable

from ..drivers.base import Capabilities
from ..errors import SnowshedError
from ..model.lifecycle import State
from .builder import Builder
from .idle import Leases
from .journal import Journal
from .suspension import UnsavedError


def choose_action(wanted: str, capabilities: Capabilities) -> tuple[str, str]:
    """What to do at the deadline, and why it is not what was wanted (empty: it is).

    ``auto`` is ``suspend`` where that is possible and else ``stop``: pausing keeps the memory, so it is done only
    when asked for.
    """
    if wanted in ("auto", "suspend") and not capabilities.suspend:
        return "stop", capabilities.suspend_blocker or "the driver cannot suspend"
    if wanted == "pause" and not capabilities.pause:
        return "stop", "the driver cannot pause"
    return ("suspend" if wanted == "auto" else wanted), ""


class Resting:
    """Puts the builder to rest when its leases say so."""

    def __init__(
        self, wanted: str, capabilities: Callable[[], Capabilities], builder: Builder, leases: Leases, journal: Journal
    ) -> None:
        self.wanted = wanted
        self._capabilities = capabilities
        self._builder = builder
        self._leases = leases
        self._journal = journal

    @property
    def action(self) -> tuple[str, str]:
        return choose_action(self.wanted, self._capabilities())

    async def rest(self) -> None:
        """The deadline has come. Contains every error: the guest then stays as it is until the next deadline."""
        try:
            if await self._building():
                self._journal.say("A build without a client is still running in the guest; it is left alone.")
                self._leases.arm()
                return
            await self._act(self.action[0])
        except SnowshedError as error:
            if not isinstance(error, UnsavedError):
                self._journal.say(f"It was not put to rest: {error.message}", level="warning")
            if self._builder.state is State.RUNNING:
                self._leases.arm()

    async def _building(self) -> bool:
        guest = self._builder.guest
        if guest is None or self._builder.state is not State.RUNNING:
            return False
        try:
            return await guest.builds() > 0
        except (SnowshedError, OSError, TimeoutError, ValueError) as error:
            self._journal.say(f"The guest does not say whether it builds ({error}).", level="warning")
            return False

    async def _act(self, action: str) -> None:
        if action == "suspend":
            await self._builder.suspend()
        elif action == "pause":
            await self._builder.pause()
        else:
            await self._builder.rest()
        if self._builder.state is State.RUNNING:
            self._leases.arm()
