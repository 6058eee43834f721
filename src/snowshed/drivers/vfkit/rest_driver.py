"""What the drivers over vfkit and krunkit have in common: a program found, asked for its version, and started."""

from __future__ import annotations

import socket
from abc import abstractmethod
from functools import cache
from pathlib import Path

from ...errors import GuestError, SnowshedError
from ...model.machine import MachineSpec, Network
from ...process import find, run
from ..backup import leave_out
from ..base import Driver, GuestNetwork, Launch, Vm
from ..mac import BREW, Mac, fingerprint, nat_address, this_mac
from .argv import Places, socket_problems, version_in
from .begin import Start
from .vm import RestVm, sweep

VERSION_PATIENCE = 10.0


@cache
def version_of(program: str) -> tuple[int, ...]:
    """The version of the vfkit or krunkit at `program`, () where it does not tell."""
    try:
        return version_in(run([program, "--version"], timeout=VERSION_PATIENCE))
    except (SnowshedError, OSError):
        return ()


class RestDriver(Driver):
    """`install` says how to get the program, which is called as the driver is; `blocker` why it suspends nothing."""

    install: str
    blocker: str
    vm: type[RestVm]

    def __init__(self, mac: Mac | None = None) -> None:
        self._mac = mac or this_mac()

    def program(self) -> str:
        """The path of the program. Raises `UserError` where it is not installed."""
        return find(self.name, self.install, folders=BREW)

    def network(self, spec: MachineSpec) -> GuestNetwork:
        return GuestNetwork("dhcp" if spec.network is Network.NAT else "none")

    def fingerprint(self, spec: MachineSpec) -> str:
        return fingerprint(self.name, ".".join(map(str, version_of(self.program()))), self._mac, spec)

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> Vm:
        if restore is not None:
            raise GuestError(f"{self.blocker}.", "The builder boots anew instead.")
        program = self.program()
        places = Places(launch.runtime)
        for problem in socket_problems(places, program=self.name):
            raise problem
        sweep(places)
        await leave_out([disk.path for disk in spec.disks if not disk.read_only], launch.state)
        start = Start(launch, places)
        try:
            card = await self.card(spec, start)
        except BaseException:
            await start.release()
            raise
        words = self.words(program, spec, places, card.fileno() if card else None)
        return await start.run(self.vm, words, nat_address(spec, launch), keep=[card] if card else [])

    @abstractmethod
    async def card(self, spec: MachineSpec, start: Start) -> socket.socket | None:
        """The guest's end of its network card, where the program is given one; held by `start`."""

    @abstractmethod
    def words(self, program: str, spec: MachineSpec, places: Places, card: int | None) -> list[str]:
        """The command line; `card` is the descriptor of the network card."""
