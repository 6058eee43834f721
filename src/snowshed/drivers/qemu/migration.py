"""The memory of a VM into a file and back, by QEMU's migration.

The file is opened here (0600) and handed to QEMU as a descriptor: the sandbox forbids QEMU to start a program, and
``file:`` addresses came with QEMU 8.2 only. The steps are told by the event ``MIGRATION`` (QEMU's
``qapi/migration.json``); nothing is asked for periodically.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from ...errors import GuestError
from ...process import finish
from .monitor import Monitor, Refused

SAVE_SECONDS = 600.0
LOAD_SECONDS = 600.0
CANCEL_SECONDS = 30.0

_NAME = "memory"
_FINAL = frozenset({"completed", "failed", "cancelled"})
_AT_REST = _FINAL | {"none"}
_UNLIMITED = ((1 << 63) - 1) >> 20 << 20
"""Bytes a second; the most that QEMU takes. Its default suits a network."""


class Migration:
    """One migration at a time, in either direction."""

    def __init__(self) -> None:
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
        """Write the memory of a stopped VM into `file`, which must not exist, and sync it.

        Raises `GuestError`. Then, and when cancelled, the file is gone and the VM can be continued.
        """
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise GuestError(f"{file} cannot be written: {error.strerror}.") from error
        try:
            await self._send(monitor, descriptor)
            await asyncio.to_thread(_sync, file)
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
            outcome = await self._begin(monitor, descriptor)
            await monitor.execute("migrate-incoming", uri=f"fd:{_NAME}")
            async with asyncio.timeout(LOAD_SECONDS):
                ended = await outcome
        except TimeoutError:
            raise GuestError(f"QEMU did not load {file} in {LOAD_SECONDS:.0f} s.") from None
        finally:
            os.close(descriptor)
        if ended != "completed":
            raise GuestError(f"QEMU could not load {file}.")

    async def _begin(self, monitor: Monitor, descriptor: int) -> asyncio.Future[str]:
        await monitor.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        await monitor.lend(_NAME, descriptor)
        self._outcome = asyncio.get_running_loop().create_future()
        return self._outcome

    async def _send(self, monitor: Monitor, descriptor: int) -> None:
        await monitor.execute("migrate-set-parameters", max_bandwidth=_UNLIMITED)
        outcome = await self._begin(monitor, descriptor)
        try:
            await monitor.execute("migrate", uri=f"fd:{_NAME}")
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
            reason = await _reason(monitor, ended)
            hint = "Make room; the guest can go on meanwhile." if "No space" in reason else ""
            raise GuestError(f"The guest's memory could not be saved: {reason}.", hint)

    async def _take_back(self, monitor: Monitor, outcome: asyncio.Future[str]) -> None:
        """End a migration under way; returns when the VM can be continued."""
        with suppress(GuestError, TimeoutError):
            await monitor.execute("migrate_cancel")
            status = (await monitor.execute("query-migrate")).get("status", "none")
            if status not in _AT_REST:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await asyncio.shield(outcome)


async def _reason(monitor: Monitor, ended: str) -> str:
    if ended == "gone":
        return "QEMU ended"
    answer = await monitor.execute("query-migrate")
    return str(answer.get("error-desc") or ended)


def _sync(file: Path) -> None:
    """Runs beside us and may go on after we stopped waiting: so with a descriptor of its own."""
    with file.open("rb") as copy:
        os.fsync(copy.fileno())


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
