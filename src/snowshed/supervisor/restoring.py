"""Bringing a guest back from its suspended memory: checked, loaded, consumed, continued, in that order."""

from __future__ import annotations

import asyncio
from functools import partial

from ..tasks import finish
from .guest import LiveGuest
from .launch import Launcher
from .suspension import Suspension

PATIENCE = 300.0
"""Seconds for loading memory from a disk that may be slow."""


async def restored(launcher: Launcher, suspension: Suspension) -> LiveGuest:
    """The guest, running, its clock set. The memory is verified while the hypervisor loads it.

    Raises `SnowshedError` or `TimeoutError`, and leaves nothing running then; the memory may be consumed by then.
    """
    verified = asyncio.create_task(asyncio.to_thread(suspension.verify), name="verify memory")
    consume = partial(_consume, verified, suspension)
    restoring = asyncio.create_task(launcher.restore(launcher.paths.suspend_state, consume), name="restore memory")
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait((verified, restoring), return_when=asyncio.FIRST_EXCEPTION)
            if not restoring.done():
                await verified  # it is what failed
            return await asyncio.shield(restoring)
    except BaseException:
        restoring.cancel()
        await finish(_given_back(restoring), name="undo restore")
        raise
    finally:
        await finish(_over(verified), name="verify memory")


async def _consume(verified: asyncio.Task[None], suspension: Suspension) -> None:
    """The last step before the guest continues: its memory is what was written, and is never used again."""
    await asyncio.shield(verified)
    suspension.consume()


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)


async def _given_back(restoring: asyncio.Task[LiveGuest]) -> None:
    """Wait for a restore that was cancelled, and end its guest if it was there already."""
    for guest in await asyncio.gather(restoring, return_exceptions=True):
        if isinstance(guest, LiveGuest):
            await guest.kill()
