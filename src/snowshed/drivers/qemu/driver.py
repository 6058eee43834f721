"""The driver that runs VMs on QEMU."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from ...child import Child
from ...errors import GuestError, SnowshedError, UserError
from ...model.machine import Accelerator, EfiBoot, MachineSpec, Network
from ..base import Capabilities, Driver, GuestNetwork, Launch
from . import accel, binary, vsock
from .argv import GUEST_ADDRESS, Engine, Wiring, arguments, cpu
from .channels import Channels
from .checks import nests, problems
from .ending import refusal
from .firmware import find_firmware, make_variables
from .memory import goes_first
from .migration import Migration
from .proof import prove
from .ram import SharedRam
from .shares import serve, suspend_blocker
from .vm import QemuVm

GATEWAY, NAMESERVER = "10.0.2.2", "10.0.2.3"
"""Of QEMU's user network (``-netdev user`` in its manual page)."""


class QemuDriver(Driver):
    """QEMU on Linux and macOS, hardware acceleration where it is proven to work."""

    name = "qemu"

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        try:
            engine, reason = self._engine(spec)
        except UserError as error:
            return Capabilities(accelerator="none", accelerator_reason=error.message.rstrip("."))
        blocker = suspend_blocker(spec.shares, engine.version)
        if engine.accelerator is Accelerator.HVF:
            blocker = "saving a VM that runs under HVF has not been shown to work"
        return Capabilities(
            accelerator=str(engine.accelerator),
            accelerator_reason=reason,
            pause=True,
            suspend=not blocker,
            suspend_blocker=blocker,
            saves_in_order=True,
            vsock=vsock.works(),
            shares=engine.platform == "linux",
            nested=nests(engine.accelerator),
            efi=engine.firmware is not None,
            reclaims=engine.platform == "linux",  # macOS keeps what MADV_DONTNEED is told of
        )

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        try:
            engine, _ = self._engine(spec)
        except UserError as error:
            return [error]
        return list(problems(spec, engine))

    def network(self, spec: MachineSpec) -> GuestNetwork:
        if spec.network is Network.NAT:
            return GuestNetwork("static", f"{GUEST_ADDRESS}/24", GATEWAY, NAMESERVER)
        if spec.network is Network.NONE and vsock.works():
            return GuestNetwork("none")
        return GuestNetwork("static", f"{GUEST_ADDRESS}/24")

    def fingerprint(self, spec: MachineSpec) -> str:
        engine, _ = self._engine(spec)
        shares = {share.tag: 0 for share in spec.shares}
        wiring = Wiring(0, 0, 0, shares, ram=0 if shares else None, vsock=(0, 0) if vsock.works() else None)
        words = arguments(spec, engine, wiring)
        processor = accel.processor() if engine.accelerator is not Accelerator.TCG else ""
        digest = hashlib.sha256("\0".join([*words, processor]).encode()).hexdigest()[:16]
        version = ".".join(map(str, engine.version))
        return f"qemu {version} {engine.accelerator} {cpu(spec, engine)} {digest}"

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> QemuVm:
        engine, _ = await asyncio.to_thread(self._engine, spec)
        if isinstance(spec.boot, EfiBoot) and engine.firmware is not None:
            make_variables(spec.boot.variables, engine.firmware)
        async with AsyncExitStack() as undo:
            channels = Channels(vsock.claim())
            undo.callback(channels.close)
            served = await serve(spec.shares, launch.runtime, channels.output, undo)
            if served:
                channels.add_shares({entry.share.tag: entry.peer for entry in served}, SharedRam(spec.memory))
            argv = arguments(spec, engine, channels.wiring(), incoming=restore is not None)
            keep = [*channels.inherited(), launch.vm_lock]
            child = await Child.start(argv, output=channels.output, keep=keep)
            goes_first(child.pid)
            channels.hand_over()
            daemons = {entry.share.tag: entry.daemon for entry in served}
            vm = QemuVm(spec, launch, child, channels, Migration(engine.version, channels.ram), daemons)
            undo.push_async_callback(vm.kill)
            await _step(vm, "QEMU did not start", vm.greet)
            if restore is not None:
                await _step(vm, "The saved memory could not be loaded", lambda: vm.load(restore))
            await _step(vm, "QEMU did not start", vm.find_ways_in)
            undo.pop_all()
            return vm

    def _engine(self, spec: MachineSpec) -> tuple[Engine, str]:
        """The QEMU that would run `spec`, and why with that accelerator. Raises `UserError`."""
        program = binary.program(spec.arch)
        version = binary.version(program)
        host = accel.look()
        accelerator, reason = accel.choose(
            spec.accelerator, spec.arch, host, lambda candidate: prove(program, spec.arch, candidate)
        )
        return Engine(program, version, accelerator, host.platform, find_firmware(spec.arch, program)), reason


async def _step(vm: QemuVm, failure: str, step: Callable[[], Awaitable[None]]) -> None:
    """One step of a start; when it fails QEMU is ended, and its last words are in the error."""
    try:
        await step()
    except GuestError as error:
        await vm.kill()
        raise refusal(failure, vm.last_words, error.message) from error
