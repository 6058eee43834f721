"""A VM that QEMU stopped because the host could not write (or read) a disk image, and its way back.

The failed request waits inside QEMU and is made again when the VM continues (``werror=stop``), so the guest loses
nothing and notices only that time went by. No event tells that a disk has space again: while, and only while, a VM
is stopped so, the disks are looked at every few seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from ...model.machine import Disk
from ...units import MIB

LOOK_SECONDS = 3.0
AGAIN_SECONDS = 30.0
"""Between two tries after an error that is not a full disk."""
ENOUGH = 64 * MIB


class Stall:
    """Notices what stopped the VM, tells, and continues it when that makes sense."""

    def __init__(
        self, disks: Sequence[Disk], notice: Callable[[str], None], go_on: Callable[[], Awaitable[None]]
    ) -> None:
        self._disks = [disk for disk in disks if not disk.read_only]
        self._notice = notice
        self._go_on = go_on
        self._held = False
        self._task: asyncio.Task[None] | None = None
        self._full = False

    def begin(self, tasks: asyncio.TaskGroup, *, full: bool, reason: str) -> None:
        """QEMU stopped the VM: because the host's disk is `full`, or for another `reason`."""
        if self._task is not None and not self._task.done():
            return
        where = ", ".join(sorted({str(disk.path.parent) for disk in self._disks}))
        if full:
            self._notice(f"The host's disk is full ({where}): the guest is stopped and goes on when there is space.")
        else:
            self._notice(f"The host cannot read or write a disk image in {where} ({reason}): the guest is stopped.")
        self._full = full
        if not self._held:
            self._task = tasks.create_task(self._wait(), name="wait for disk space")

    def hold(self) -> None:
        """Somebody else decides from now on when the VM continues."""
        self._held = True
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def release(self) -> None:
        """The VM was continued."""
        self._held = False

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS if self._full else AGAIN_SECONDS)
            if not self._full or enough_space(self._disks):
                break
        if self._full:
            self._notice("There is space again: the guest goes on.")
        self._task = None
        await self._go_on()


def enough_space(disks: Sequence[Disk], enough: int = ENOUGH) -> bool:
    """Whether every disk image's file system has `enough` bytes left."""
    facts = [os.statvfs(disk.path) for disk in disks]
    return all(fact.f_bavail * fact.f_frsize >= enough for fact in facts)
