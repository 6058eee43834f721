"""The memory of a VM into a file and back, by QEMU's migration.

The file is opened here (0600) and handed to QEMU as a descriptor: the sandbox forbids QEMU to start a program. Up to
QEMU 9.0 a descriptor is named by ``fd:``, which later versions want for sockets only. The steps are told by the event
``MIGRATION`` (QEMU's ``qapi/migration.json``); nothing is asked for periodically.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from ...errors import GuestError
from ...tasks import finish
from .monitor import Monitor, Refused
from .ram import SharedRam

SAVE_SECONDS = 600.0
LOAD_SECONDS = 600.0
CANCEL_SECONDS = 30.0

FILE_FROM = (9, 1, 0)
"""The first QEMU that takes a descriptor as a ``file:``."""

_NAME, _NUMBER = "memory", 1
_FINAL = frozenset({"completed", "failed", "cancelled"})
_AT_REST = _FINAL | {"none"}
_UNLIMITED = ((1 << 63) - 1) >> 20 << 20
"""Bytes a second; the most that QEMU takes. Its default suits a network."""


class Migration:
    """One migration at a time, in either direction. `ram` is the guest's memory where QEMU does not have it alone;
    `qemu` is QEMU's version."""

    def __init__(self, qemu: tuple[int, int, int], ram: SharedRam | None = None) -> None:
        self._qemu = qemu
        self._ram = ram
        self._outcome: asyncio.Future[str] | None = None

    def step(self, status: str) -> None:
        """QEMU says how far it is."""
        if status in _FINAL and self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(status)

    def gone(self) -> None:
        """QEMU ended."""
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result("gone")

    async def save(self, monitor: Monitor, file: Path) -> None:
        """Write the memory of a stopped VM into `file`, which must not exist.

        Raises `GuestError`. Then, and when cancelled, the file is gone and the VM can be continued.
        """
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise GuestError(f"{file} cannot be written: {error.strerror}.") from error
        try:
            await self._send(monitor, descriptor)
            if self._ram is not None:
                await _in_thread(self._ram.save, file, os.O_WRONLY)
        except OSError as error:
            _remove(file)
            raise _not_saved(error.strerror or str(error)) from error
        except BaseException:
            _remove(file)
            raise
        finally:
            os.close(descriptor)

    async def load(self, monitor: Monitor, file: Path) -> None:
        """Fill the memory of a VM that waits for it (``-incoming defer``). Raises `GuestError`; QEMU is no use then."""
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise GuestError(f"{file} cannot be read: {error.strerror}.") from error
        try:
            if self._ram is not None:
                await _in_thread(self._ram.load, file, os.O_RDONLY)
            address, outcome = await self._begin(monitor, descriptor)
            await monitor.execute("migrate-incoming", uri=address)
            async with asyncio.timeout(LOAD_SECONDS):
                ended = await outcome
        except TimeoutError:
            raise GuestError(f"QEMU did not load {file} in {LOAD_SECONDS:.0f} s.") from None
        finally:
            os.close(descriptor)
        if ended != "completed":
            raise GuestError(f"QEMU could not load {file}.")

    async def _begin(self, monitor: Monitor, descriptor: int) -> tuple[str, asyncio.Future[str]]:
        wanted = ["events", *(["x-ignore-shared"] if self._ram is not None else [])]
        capabilities = [{"capability": name, "state": True} for name in wanted]
        await monitor.execute("migrate-set-capabilities", capabilities=capabilities)
        if self._qemu >= FILE_FROM:
            address = await monitor.lend_file(_NUMBER, descriptor)
        else:
            address = await monitor.lend(_NAME, descriptor)
        self._outcome = asyncio.get_running_loop().create_future()
        return address, self._outcome

    async def _send(self, monitor: Monitor, descriptor: int) -> None:
        await monitor.execute("migrate-set-parameters", max_bandwidth=_UNLIMITED)
        address, outcome = await self._begin(monitor, descriptor)
        try:
            await monitor.execute("migrate", uri=address)
            async with asyncio.timeout(SAVE_SECONDS):
                ended = await asyncio.shield(outcome)
        except Refused as error:
            raise GuestError(f"QEMU does not save the guest's memory: {error.message}.") from error
        except TimeoutError:
            await self._take_back(monitor, outcome)
            raise GuestError(f"QEMU did not save the guest's memory in {SAVE_SECONDS:.0f} s.") from None
        except asyncio.CancelledError:
            await finish(self._take_back(monitor, outcome), name="take a migration back")
            raise
        if ended != "completed":
            raise _not_saved(await _reason(monitor, ended))

    async def _take_back(self, monitor: Monitor, outcome: asyncio.Future[str]) -> None:
        """End a migration under way; returns when the VM can be continued."""
        with suppress(GuestError, TimeoutError):
            await monitor.execute("migrate_cancel")
            status = (await monitor.execute("query-migrate")).get("status", "none")
            if status not in _AT_REST:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await asyncio.shield(outcome)


def _not_saved(reason: str) -> GuestError:
    hint = "Make room; the guest can go on meanwhile." if "No space" in reason else ""
    return GuestError(f"The guest's memory could not be saved: {reason}.", hint)


async def _in_thread(copy: Callable[[int, Event], None], file: Path, mode: int) -> None:
    """Run `copy` on `file`, opened anew, beside us; cancelled, it stops soon and is waited for."""
    stop = Event()

    def work() -> None:
        descriptor = os.open(file, mode | os.O_CLOEXEC)
        try:
            copy(descriptor, stop)
        finally:
            os.close(descriptor)

    task = asyncio.create_task(asyncio.to_thread(work), name=f"copy memory: {file.name}")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with suppress(OSError, GuestError):
            await finish(_ended(task), name="stop copying memory")
        raise


async def _ended(task: asyncio.Task[None]) -> None:
    await task


async def _reason(monitor: Monitor, ended: str) -> str:
    if ended == "gone":
        return "QEMU ended"
    answer = await monitor.execute("query-migrate")
    return str(answer.get("error-desc") or ended)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
