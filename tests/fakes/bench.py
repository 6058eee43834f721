"""A builder on the fake driver, with its parts at hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

from fakes.driver import FakeDriver

from snowshed.config import BuilderConfig
from snowshed.guest import shortage
from snowshed.paths import BuilderPaths
from snowshed.ssh.keys import ensure_keys
from snowshed.supervisor.backoff import Backoff
from snowshed.supervisor.builder import Builder
from snowshed.supervisor.idle import Leases
from snowshed.supervisor.journal import Journal
from snowshed.supervisor.launch import Launcher
from snowshed.supervisor.plan import Source
from snowshed.supervisor.resting import Resting
from snowshed.supervisor.shortages import Shortages
from snowshed.supervisor.suspension import Suspension


class Bench:
    """A builder on a fake driver, with its parts at hand."""

    def __init__(
        self, folder: Path, driver: FakeDriver, tasks: asyncio.TaskGroup, *, idle_timeout: float = 0.0
    ) -> None:
        paths = BuilderPaths("default", folder)
        ensure_keys(paths)
        config = BuilderConfig(system="x86_64-linux", disk_size=1 << 30, stop_grace=5.0)
        source = Source("test", Path("/kernel"), Path("/initrd"), cmdline="quiet")
        self.paths = paths
        self.driver = driver
        self.log = StringIO()
        self.journal = Journal(paths.events, self.log)
        self.leases = Leases(idle_timeout, lambda: tasks.create_task(self.resting.rest()) and None)
        self.shortages = Shortages(lambda: self.builder.guest, self.journal, tasks)
        hears = {shortage.MARK: self.shortages.hear}
        self.launcher = Launcher(config, paths, source, driver, tasks, self.journal.say, hears)
        self.builder = Builder(self.launcher, self.leases, self.journal, Suspension(paths), tasks, Backoff(first=0.0))
        self.resting = Resting("auto", self.launcher.capabilities, self.builder, self.leases, self.journal)

    async def connect(self) -> socket.socket:
        """A connection to the guest's sshd, as the forwarder makes it for a client."""
        guest = await self.builder.wake(patient=True)
        return await guest.connect()

    async def end(self) -> None:
        self.driver.fate.failing.clear()
        await self.builder.stop()
        self.journal.close()


@asynccontextmanager
async def bench(folder: Path, driver: FakeDriver | None = None, **options: float) -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as tasks:
        made = Bench(folder, driver or FakeDriver(), tasks, **options)
        try:
            yield made
        finally:
            await made.end()
            assert made.driver.violations == []
