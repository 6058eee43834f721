"""The vfkit driver."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...errors import GuestError, SnowshedError, UserError
from ...model.machine import EfiBoot, MachineSpec, Network
from ...process import find, run
from ..base import Capabilities, Driver, GuestNetwork, Launch, Vm
from ..mac import BREW, Mac, fingerprint, may_write, nat_address, problems, this_mac
from . import argv
from .begin import Start, dead_end
from .vm import VfkitVm, sweep

SUSPEND_BLOCKER = "vfkit cannot save a VM's memory (vfkit issue 449)"
INSTALL = "Install it with `brew install vfkit`, or use the driver vz, which needs nothing."


@cache
def version_of(program: str) -> tuple[int, ...]:
    """The version of the vfkit at `program`, () where it does not tell."""
    try:
        return argv.version_in(run([program, "--version"]))
    except (SnowshedError, OSError):
        return ()


class VfkitDriver(Driver):
    """Virtualization.framework through vfkit: pause, vsock, shares, Rosetta; no suspend."""

    name = "vfkit"

    def __init__(self, mac: Mac | None = None) -> None:
        self._mac = mac or this_mac()

    def _program(self) -> str:
        return find("vfkit", INSTALL, folders=BREW)

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        return Capabilities(
            accelerator="hvf",
            accelerator_reason="vfkit runs guests on Virtualization.framework",
            pause=True,
            suspend_blocker=SUSPEND_BLOCKER,
            vsock=True,
            shares=True,
            rosetta=self._mac.rosetta,
            nested=self._mac.nested,
            efi=True,
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        found = problems(spec, self._mac, driver=self.name, least=(13, 0))
        try:
            version = version_of(self._program())
        except UserError as error:
            return [*found, error]
        return [*found, *argv.problems(spec, version=version, writable=may_write)]

    def network(self, spec: MachineSpec) -> GuestNetwork:
        return GuestNetwork("dhcp" if spec.network is Network.NAT else "none")

    def fingerprint(self, spec: MachineSpec) -> str:
        return fingerprint(self.name, ".".join(map(str, version_of(self._program()))), self._mac, spec)

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> Vm:
        if restore is not None:
            raise GuestError(f"{SUSPEND_BLOCKER}.", "The builder boots anew instead.")
        program = self._program()
        places = argv.Places(launch.runtime)
        for problem in argv.socket_problems(places, program=self.name):
            raise problem
        sweep(places)
        start = Start(launch, places)
        card = dead_end(spec, start)
        found = argv.Found(
            version=version_of(program),
            variables=isinstance(spec.boot, EfiBoot) and spec.boot.variables.exists(),
            card=card.fileno() if card else None,
        )
        words = argv.arguments(program, spec, places, found)
        return await start.run(VfkitVm, words, nat_address(spec, launch), keep=[card] if card else [])
