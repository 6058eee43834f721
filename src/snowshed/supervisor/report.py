"""The state of a builder as `snowshed status` shows it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from .. import __version__
from ..drivers.base import Capabilities
from ..errors import SnowshedError
from ..model import systems
from ..model.lifecycle import HAS_VM, State
from ..model.told import Told
from ..model.wire import DiskUse, Idle, MemoryUse, Report
from ..nix.machines import advertised
from .builder import Builder
from .forwarder import Forwarder
from .idle import Leases
from .launch import Launcher
from .resting import Resting
from .shortages import Shortages
from .upkeep import SETTLE_SECONDS, note_use

RECENT = 12 * 3600.0
"""Seconds for which a shortage of memory is pointed out: to whoever comes back from lunch, not for ever."""

LOOK_SECONDS = 0.3
"""For a question to the guest on the way to an answer that somebody waits for."""


class Reporter:
    """Gathers what the parts of a supervisor know."""

    def __init__(
        self,
        launcher: Launcher,
        builder: Builder,
        forwarder: Forwarder,
        leases: Leases,
        resting: Resting,
        shortages: Shortages,
        capabilities: Capabilities,
        port: int,
    ) -> None:
        self._launcher = launcher
        self._builder = builder
        self._forwarder = forwarder
        self._leases = leases
        self._resting = resting
        self._shortages = shortages
        self._capabilities = capabilities
        self._port = port

    async def report(self) -> Report:
        """The builder as it is now. Of the guest it asks one thing, and not for long: how full its disk is."""
        await self.look_at_disk(LOOK_SECONDS)
        config, builder = self._launcher.config, self._builder
        guest = builder.guest if builder.state in HAS_VM else None
        told = self._launcher.notes.told
        return Report(
            name=self._launcher.paths.name,
            running=builder.state is State.RUNNING,
            state=builder.state,
            state_directory=str(self._launcher.paths.state),
            system=config.system,
            pid=guest.vm.pid if guest else None,
            supervisor_pid=os.getpid(),
            version=__version__,
            port=self._port,
            driver=self._launcher.driver.name,
            driver_reason=self._launcher.driver.chosen,
            accelerator=self._capabilities.accelerator,
            accelerator_reason=self._capabilities.accelerator_reason,
            cores=config.cores,
            image=self._launcher.source.name,
            network=config.network,
            started_at=builder.started_at if guest else None,
            ready_at=builder.ready_at if guest else None,
            stages=tuple(builder.stages),
            connections=self._forwarder.open,
            held=self._forwarder.held,
            leases=self._leases.reasons,
            systems=systems.had(config.systems, told.lacks),
            systems_known=systems.known(config.systems, config.system, told.emulates, told.lacks),
            emulators={name: by for name, by in told.emulates.items() if name in config.systems[1:]},
            features=advertised(config.nix.features, kvm="kvm" in told.features) if guest else (),
            suspend_blocker=self._capabilities.suspend_blocker,
            idle=self._idle(),
            disk=disk_use(self._launcher.paths.disk, self._launcher.notes.told),
            memory=await self._memory(),
            failure=builder.failure,
            shortages=self._shortages.known,
            notices=(*systems.complaints(config.systems[1:], told.lacks), *self._recent_shortages()),
        )

    async def look_at_disk(self, patience: float = SETTLE_SECONDS) -> None:
        """Ask a guest that runs how full its disk is; without an answer in `patience` seconds its last word counts."""
        guest = self._builder.guest
        if guest is not None and self._builder.ready_at is not None and self._builder.is_running(guest):
            await note_use(guest, self._launcher.notes, patience)

    @property
    def allocated(self) -> int:
        """Bytes that the data disk takes of the host now."""
        use = disk_use(self._launcher.paths.disk, self._launcher.notes.told)
        return use.allocated if use else 0

    def _idle(self) -> Idle:
        action, reason = self._resting.action
        return Idle(self._leases.timeout, action, self._resting.wanted, reason, self._leases.remaining)

    def _recent_shortages(self) -> list[str]:
        return [shortage.text for shortage in self._shortages.known if time.time() - shortage.at < RECENT]

    async def _memory(self) -> MemoryUse:
        resident = None
        guest = self._builder.guest
        if guest is not None:
            with suppress(SnowshedError, OSError):
                resident = (await guest.vm.memory()).resident
        return MemoryUse(configured=self._launcher.config.memory, resident=resident)


def disk_use(path: Path, told: Told) -> DiskUse | None:
    """The size of a disk image, what it takes of the host, and what its guest `told`; None where there is none yet."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return DiskUse(facts.st_size, facts.st_blocks * 512, told.disk_used, told.disk_used_at)
