"""The stages that a guest announces on its console while it comes up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..errors import GuestError
from ..guest.contract import contract


class Stages:
    """Which stages were reached, for one waiter at a time each."""

    def __init__(self, reached: Callable[[str], None]) -> None:
        self._on_reached = reached
        self._reached: dict[str, asyncio.Future[None]] = {}

    def announce(self, text: str) -> None:
        """What the guest said after its stage mark: a stage, or ``failed <stage> <why>``."""
        word, _, rest = text.partition(" ")
        if word == "failed":
            self._fail(rest)
            return
        future = self._future(word)
        if not future.done():
            future.set_result(None)
            self._on_reached(word)

    def _fail(self, text: str) -> None:
        stage, _, why = text.partition(" ")
        error = GuestError(
            f"The guest could not get past {stage}: {why or 'it does not say why'}.",
            "`snowshed logs --console` has all that it said.",
        )
        for future in (self._future(stage), *self._reached.values()):
            if not future.done():
                future.set_exception(error)
                future.exception()  # not every stage has a waiter

    def skip(self) -> None:
        """Take all stages for reached, without a word: a guest that goes on from its memory announces none."""
        for stage in contract().stages:
            future = self._future(stage)
            if not future.done():
                future.set_result(None)

    def seen(self, stage: str) -> bool:
        return stage in self._reached and self._reached[stage].done() and not self._reached[stage].exception()

    async def wait(self, stage: str) -> None:
        """Return when `stage` was announced. Raises `GuestError` if the guest says that it failed."""
        await asyncio.shield(self._future(stage))

    def _future(self, stage: str) -> asyncio.Future[None]:
        if stage not in self._reached:
            self._reached[stage] = asyncio.get_running_loop().create_future()
        return self._reached[stage]
