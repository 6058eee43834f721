"""Noticing that a running guest answers nobody any more, or does not keep the time.

A guest is taken for dead when neither its agent nor its sshd has answered for the configured time: either alone may
be busy or broken while builds go on. What is looked at has no event, so it is asked, a few times within that time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..config import WatchdogConfig
from ..errors import GuestError, SnowshedError
from .builder import Builder
from .clock import keep_time
from .guest import LiveGuest
from .journal import Journal

LOOKS = 4
"""How often a guest is asked within the time after which it is given up."""


class Watchdog:
    """Watches over the builder's guest whenever it runs."""

    def __init__(self, config: WatchdogConfig, builder: Builder, journal: Journal) -> None:
        self._config = config
        self._builder = builder
        self._journal = journal

    async def watch(self) -> None:
        """Watch until cancelled; returns at once where the watchdog is off."""
        while self._config.timeout > 0:
            guest = await self._builder.running()
            await self._watch_over(guest)
            if guest.ended.done() or self._builder.guest is not guest:
                continue
            await self._give_up(guest)

    async def _watch_over(self, guest: LiveGuest) -> None:
        """Return when `guest` is not running any more, or has not answered for the whole time."""
        silent, took = 0, 0.0
        pause = self._config.timeout / LOOKS
        while silent < LOOKS:
            # Not at once: whoever woke the guest is being served.
            await asyncio.wait((guest.ended,), timeout=max(0.0, pause - took))
            if not self._builder.is_running(guest):
                return
            began = asyncio.get_running_loop().time()
            if await _answers(guest, pause):
                silent = 0
                await keep_time(guest, self._journal)
            else:
                silent += 1
            took = asyncio.get_running_loop().time() - began

    async def _give_up(self, guest: LiveGuest) -> None:
        if not self._builder.is_running(guest):
            return
        error = GuestError(
            f"The guest is not responding: neither agent nor SSH answered for {self._config.timeout:.0f} s.",
            "`snowshed logs --console` shows its last words; the next connection starts it anew.",
        )
        await self._builder.condemn(guest, error)
        if self._config.action == "restart":
            self._journal.say("The watchdog restarts the guest.", level="warning")
            with suppress(SnowshedError):
                await self._builder.wake(patient=True)


async def _answers(guest: LiveGuest, patience: float) -> bool:
    """Whether the agent or sshd says anything within `patience` seconds."""
    looks = [asyncio.create_task(_agent(guest), name="ask agent"), asyncio.create_task(_banner(guest), name="ask sshd")]
    try:
        async with asyncio.timeout(patience):
            for look in asyncio.as_completed(looks):
                if await look:
                    return True
    except TimeoutError:
        pass
    finally:
        for task in looks:
            task.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
    return False


async def _agent(guest: LiveGuest) -> bool:
    try:
        await (await guest.agent()).ping()
    except (SnowshedError, OSError):
        return False
    return True


async def _banner(guest: LiveGuest) -> bool:
    try:
        with await guest.connect() as connection:
            return bool(await asyncio.get_running_loop().sock_recv(connection, 64))
    except (SnowshedError, OSError):
        return False
