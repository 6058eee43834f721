"""The vz driver: Virtualization.framework, with nothing in between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ... import durable
from ...errors import GuestError, SnowshedError, UserError
from ...model.machine import MachineSpec, Network
from ...process import run
from ...units import format_size
from ..backup import leave_out
from ..base import Capabilities, Driver, GuestNetwork, Launch, Vm
from ..mac import INSTALL_ROSETTA, Mac, fingerprint, nat_address, problems, this_mac
from . import signing
from .client import INSTALL, Client
from .configuration import save_blocker
from .faults import ENTITLEMENT, SIGN
from .messages import PROTOCOL, Facts, Question, Start, Started, decode, encode
from .vm import Ending, SavableVzVm, VzVm

LEAST_MACOS = (13, 0)
START_PATIENCE = 60.0
"""Seconds for the framework to start a VM, or to load its memory."""
PROBE_PATIENCE = 30.0
HELPER = ("-P", "-m", "snowshed.drivers.vz.helper")
_known: dict[tuple[tuple[str | Path, ...], bytes], Facts] = {}
"""The last good answer, for the life of the process. A bad one is asked for again: the user may have mended it."""
IDENTIFIER = "vz-machine-identifier"
"""In the builder's state directory: to this, macOS binds saved memory."""
SECTOR = 512

Command = Sequence[str | Path]


class VzDriver(Driver):
    """Pause always; suspend where macOS agrees; vsock, shares, Rosetta, EFI."""

    name = "vz"

    def __init__(self, mac: Mac | None = None, command: Command | None = None) -> None:
        """`command` starts the helper; by default the signed interpreter does."""
        self._mac = mac or this_mac()
        self._command = command

    def _helper(self) -> Command | None:
        """How the helper is started, if its interpreter was made."""
        if self._command is not None:
            return self._command
        interpreter = signing.find()
        return (interpreter, *HELPER) if interpreter else None

    def _facts(self, spec: MachineSpec, *, make: bool = False) -> Facts | None:
        """What the framework says of `spec`; None before the interpreter was made, unless it is to `make` it.

        Raises `SnowshedError`.
        """
        if make and self._command is None and self._mac.version:
            signing.make()
        command = self._helper()
        if command is None:
            return None
        key = (tuple(command), encode(Question(spec, self._mac)))
        if key not in _known:
            facts = _probe(*key)
            if framework_problems(spec, facts):
                return facts
            _known.clear()
            _known[key] = facts
        return _known[key]

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        """What macOS says of `spec`, for which the signed interpreter is made; a guess where it cannot be asked."""
        try:
            facts = self._facts(spec, make=True)
        except SnowshedError:
            facts = None
        blocker = save_blocker(spec, self._mac) if facts is None else facts.blocker
        return Capabilities(
            accelerator="hvf",
            accelerator_reason="Virtualization.framework runs guests on the processor itself",
            pause=True,
            suspend=facts.suspend if facts is not None else not blocker,
            suspend_blocker=blocker,
            vsock=True,
            shares=True,
            rosetta=facts.rosetta == "installed" if facts is not None else self._mac.rosetta,
            nested=facts.nested if facts is not None else self._mac.nested,
            efi=True,
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        mac = replace(self._mac, rosetta=True)  # the framework knows better, below
        found = [*problems(spec, mac, driver=self.name, least=LEAST_MACOS), *_disk_problems(spec)]
        if found:
            return found
        if self._command is None:
            found += _interpreter_problems()
        if found:
            return found
        try:
            facts = self._facts(spec)
        except SnowshedError as error:
            return [error]
        return framework_problems(spec, facts) if facts is not None else []

    def network(self, spec: MachineSpec) -> GuestNetwork:
        return GuestNetwork("dhcp" if spec.network is Network.NAT else "none")

    def fingerprint(self, spec: MachineSpec) -> str:
        return fingerprint(self.name, str(PROTOCOL), self._mac, spec)

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> Vm:
        command = self._command or (await asyncio.to_thread(signing.make), *HELPER)
        await leave_out([disk.path for disk in spec.disks if not disk.read_only], launch.state)
        console = Console(launch.console)
        ending = Ending(launch.notice)
        try:
            client = await Client.start(
                command,
                messages=launch.runtime / "hypervisor.log",
                keep=[launch.vm_lock, console.guest],
                tasks=launch.tasks,
                heard=ending.heard,
            )
        except BaseException:
            console.close()
            raise
        try:
            started = await self._start(client, spec, launch, console, restore)
        except BaseException as error:
            await client.child.end(grace=0)
            console.close()
            if ending.told is not None and isinstance(error, SnowshedError):
                raise GuestError(f"The VM ended at once: {ending.told.detail}.", "See `snowshed logs`.") from error
            raise
        for note in started.notes:
            launch.notice(note)
        vm = (SavableVzVm if started.suspend else VzVm)(client, ending, nat_address(spec, launch), launch)
        vm.watch(console.close)
        return vm

    async def _start(
        self, client: Client, spec: MachineSpec, launch: Launch, console: Console, restore: Path | None
    ) -> Started:
        file = launch.state / IDENTIFIER if launch.state else None
        known = _read(file)
        answer = await client.ask(
            lambda number: Start(
                number, spec, self._mac, console.guest, known, None if restore is None else str(restore)
            ),
            START_PATIENCE,
        )
        console.handed_over()
        if not isinstance(answer, Started):
            raise GuestError("The vz helper answered with nonsense: the VM's start was promised.")
        if file is not None and answer.identifier != known:
            durable.write(file, answer.identifier)
        return answer


class Console:
    """The guest's console: the helper inherits `guest`, and what is written there goes to `sink`."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._ours, self.guest = os.pipe()
        os.set_blocking(self._ours, False)
        self._handed_over = False
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ours, self._pump)

    def _pump(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._ours, 1 << 16):
                self._sink(data)
            self._loop.remove_reader(self._ours)

    def handed_over(self) -> None:
        """The helper has its end: ours is closed, so that the guest's end is the end."""
        if not self._handed_over:
            self._handed_over = True
            os.close(self.guest)

    def close(self) -> None:
        """Read the rest, and stop."""
        self.handed_over()
        self._pump()
        self._loop.remove_reader(self._ours)
        os.close(self._ours)


def _probe(command: tuple[str | Path, ...], question: bytes) -> Facts:
    """The answer of a short-lived helper. Raises `SnowshedError`."""
    said = run([*command, "--probe"], stdin=question, timeout=PROBE_PATIENCE)
    try:
        return decode(said.encode(), Facts)
    except msgspec.MsgspecError as error:
        raise GuestError(f"The vz helper answered with nonsense: {error}.", "Install snowshed again.") from error


def framework_problems(spec: MachineSpec, facts: Facts) -> list[SnowshedError]:
    """What the framework itself has against `spec`, as sentences."""
    if "entitlement" in facts.problem or ENTITLEMENT in facts.problem:
        return [UserError("macOS does not let the helper's interpreter use virtualisation.", SIGN)]
    if not facts.supported:
        return [UserError(f"{facts.problem}.", "Is this Mac itself a virtual machine? Use the driver qemu.")]
    found: list[SnowshedError] = []
    if spec.cores > facts.most_cores:
        found.append(UserError(f"macOS gives a VM at most {facts.most_cores} cores.", "Give fewer --cores."))
    if not facts.least_memory <= spec.memory <= facts.most_memory:
        least, most = format_size(facts.least_memory), format_size(facts.most_memory)
        found.append(UserError(f"macOS gives a VM from {least} to {most} of memory.", "Give other --memory."))
    if spec.rosetta and facts.rosetta == "missing":
        found.append(UserError("Rosetta is not installed on this Mac.", INSTALL_ROSETTA))
    if spec.nested and not facts.nested:
        found.append(UserError("This Mac has no nested virtualisation.", "Turn nested_virtualization off."))
    if facts.problem and not found:
        found.append(UserError(f"macOS refuses this machine: {facts.problem.rstrip('.')}.", "Change what it names."))
    return found


def _interpreter_problems() -> list[SnowshedError]:
    try:
        if signing.find() is not None:
            return []
        if find_spec("Virtualization") is None:
            return [UserError("PyObjC, which the driver vz needs, is not installed.", INSTALL)]
        obstacle = signing.problem(signing.origin())
    except (SnowshedError, OSError) as error:
        obstacle = error if isinstance(error, SnowshedError) else UserError(f"{error}.", signing.OTHER_PYTHON)
    return [obstacle] if obstacle else []


def _disk_problems(spec: MachineSpec) -> list[SnowshedError]:
    return [
        UserError(f"{disk.path} is not a raw disk image: its size is no multiple of 512 bytes.", "Import it again.")
        for disk in spec.disks
        if disk.path.exists() and disk.path.stat().st_size % SECTOR
    ]


def _read(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError:
        return None
