"""The krunkit driver."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

from ...errors import GuestError, SnowshedError, UserError
from ...model.machine import MachineSpec, Network
from ...network.card import card_pair
from ...process import Child, find, run
from ..base import Capabilities, Driver, GuestNetwork, Launch, MemoryFigures, Vm
from ..mac import BREW, Mac, fingerprint, may_write, nat_address, problems, this_mac
from ..vfkit.argv import Places, socket_problems, version_in
from ..vfkit.begin import Start, dead_end
from ..vfkit.vm import RestVm, sweep
from . import argv, vmnet

INSTALL = "Install it with `brew install krunkit`, or use the driver vz, which needs nothing."
BLOCKER = "krunkit cannot save a VM's memory"


@cache
def version_of(program: str) -> tuple[int, ...]:
    """The version of the krunkit at `program`, () where it does not tell."""
    try:
        return version_in(run([program, "--version"]))
    except (SnowshedError, OSError):
        return ()


class KrunkitVm(RestVm):
    """Its REST service knows one wish, the power button; anything more is a signal."""

    async def _pull_the_plug(self) -> None:
        """SIGKILL, by the caller: krunkit has no handler for a gentler one."""

    async def memory(self) -> MemoryFigures:
        """The guest's memory is krunkit's own."""
        with suppress(SnowshedError, OSError, ValueError):
            return MemoryFigures(resident=int(run(["ps", "-o", "rss=", "-p", str(self.pid)])) * 1024)
        return MemoryFigures()


class KrunkitDriver(Driver):
    """libkrun through krunkit: EFI images only, no pause and no suspend."""

    name = "krunkit"

    def __init__(self, mac: Mac | None = None) -> None:
        self._mac = mac or this_mac()

    def _program(self) -> str:
        return find("krunkit", INSTALL, folders=BREW)

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        return Capabilities(
            accelerator="hvf",
            accelerator_reason="krunkit runs guests on Hypervisor.framework",
            suspend_blocker=BLOCKER,
            vsock=True,
            shares=True,
            nested=self._mac.nested,
            efi=True,
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        found = problems(spec, self._mac, driver=self.name, least=(14, 0))
        try:
            version = version_of(self._program())
            if spec.network is Network.NAT:
                vmnet.program()
        except UserError as error:
            return [*found, error]
        return [*found, *argv.problems(spec, version=version, writable=may_write)]

    def network(self, spec: MachineSpec) -> GuestNetwork:
        return GuestNetwork("dhcp" if spec.network is Network.NAT else "none")

    def fingerprint(self, spec: MachineSpec) -> str:
        return fingerprint(self.name, ".".join(map(str, version_of(self._program()))), self._mac, spec)

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> Vm:
        if restore is not None:
            raise GuestError(f"{BLOCKER}.", "The builder boots anew instead.")
        program = self._program()
        places = Places(launch.runtime)
        for problem in socket_problems(places, program=self.name):
            raise problem
        sweep(places)
        start = Start(launch, places)
        try:
            card = await self._nat(start) if spec.network is Network.NAT else dead_end(spec, start)
        except BaseException:
            await start.release()
            raise
        words = argv.arguments(program, spec, places, card=card.fileno() if card else None)
        return await start.run(KrunkitVm, words, nat_address(spec, launch), keep=[card] if card else [])

    async def _nat(self, start: Start) -> socket.socket:
        """The guest's end of a socket pair whose other end vmnet-helper serves."""
        card, served = card_pair()
        start.holds(card.close)
        with served:
            words = vmnet.arguments(vmnet.program(), served.fileno(), macos=self._mac.version, root=os.geteuid() == 0)
            helper = await Child.start(words, output=start.launch.log, keep=[served.fileno()])
        start.holds_process(helper.end)
        return card
