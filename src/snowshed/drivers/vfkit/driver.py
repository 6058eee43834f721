"""The vfkit driver."""

from __future__ import annotations

import socket

from ...errors import SnowshedError, UserError
from ...model.machine import EfiBoot, MachineSpec
from ..base import Capabilities
from ..mac import may_write, problems
from . import argv
from .begin import Start, dead_end
from .rest_driver import RestDriver, version_of
from .vm import VfkitVm


class VfkitDriver(RestDriver):
    """Virtualization.framework through vfkit: pause, vsock, shares, Rosetta; no suspend."""

    name = "vfkit"
    install = "Install it with `brew install vfkit`, or use the driver vz, which needs nothing."
    blocker = "vfkit cannot save a VM's memory (vfkit issue 449)"
    vm = VfkitVm

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        return Capabilities(
            accelerator="hvf",
            accelerator_reason="vfkit runs guests on Virtualization.framework",
            pause=True,
            suspend_blocker=self.blocker,
            vsock=True,
            shares=True,
            rosetta=self._mac.rosetta,
            nested=self._mac.nested,
            efi=True,
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        found = problems(spec, self._mac, driver=self.name, least=(13, 0))
        try:
            version = version_of(self.program())
        except UserError as error:
            return [*found, error]
        return [*found, *argv.problems(spec, version=version, writable=may_write)]

    async def card(self, spec: MachineSpec, start: Start) -> socket.socket | None:
        return dead_end(spec, start)

    def words(self, program: str, spec: MachineSpec, places: argv.Places, card: int | None) -> list[str]:
        variables = isinstance(spec.boot, EfiBoot) and spec.boot.variables.exists()
        return argv.arguments(program, spec, places, argv.Found(version_of(program), variables, card))
