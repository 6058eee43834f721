"""The krunkit driver."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from ...child import Child
from ...errors import SnowshedError, UserError
from ...model.machine import MachineSpec, Network
from ...network.card import card_pair
from ...process import run
from ..base import Capabilities, MemoryFigures
from ..mac import may_write, problems
from ..vfkit.argv import Places
from ..vfkit.begin import Start, dead_end
from ..vfkit.rest_driver import RestDriver, version_of
from ..vfkit.vm import RestVm
from . import argv, vmnet

FIGURES_PATIENCE = 5.0


class KrunkitVm(RestVm):
    """Its REST service knows one wish, the power button; anything more is a signal."""

    async def _pull_the_plug(self) -> None:
        """SIGKILL, by the caller: krunkit has no handler for a gentler one."""

    async def memory(self) -> MemoryFigures:
        """The guest's memory is krunkit's own."""
        with suppress(SnowshedError, OSError, ValueError):
            kilobytes = run(["ps", "-o", "rss=", "-p", str(self.pid)], timeout=FIGURES_PATIENCE)
            return MemoryFigures(resident=int(kilobytes) * 1024)
        return MemoryFigures()


class KrunkitDriver(RestDriver):
    """libkrun through krunkit: EFI images only, no pause and no suspend."""

    name = "krunkit"
    install = "Install it with `brew install krunkit`, or use the driver vz, which needs nothing."
    blocker = "krunkit cannot save a VM's memory"
    vm = KrunkitVm

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        return Capabilities(
            accelerator="hvf",
            accelerator_reason="krunkit runs guests on Hypervisor.framework",
            suspend_blocker=self.blocker,
            vsock=True,
            shares=True,
            nested=self._mac.nested,
            efi=True,
            reclaims=True,  # libkrun's balloon reports free pages
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        found = problems(spec, self._mac, driver=self.name, least=(14, 0))
        try:
            version = version_of(self.program())
            if spec.network is Network.NAT:
                vmnet.program()
        except UserError as error:
            return [*found, error]
        return [*found, *argv.problems(spec, version=version, writable=may_write)]

    def words(self, program: str, spec: MachineSpec, places: Places, card: int | None) -> list[str]:
        return argv.arguments(program, spec, places, card=card)

    async def card(self, spec: MachineSpec, start: Start) -> socket.socket | None:
        """With NAT the guest's end of a socket pair whose other end vmnet-helper serves."""
        if spec.network is not Network.NAT:
            return dead_end(spec, start)
        card, served = card_pair()
        start.holds(card.close)
        with served:
            root = os.geteuid() == 0
            words = vmnet.arguments(vmnet.program(), served.fileno(), macos=self._mac.version, root=root)
            helper = await Child.start(words, output=start.launch.log, keep=[served.fileno()])
        start.holds_process(helper.end)
        return card
