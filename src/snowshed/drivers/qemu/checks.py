"""What stands against running a machine on this host with this QEMU. Looks, and touches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...errors import SnowshedError, UserError
from ...guest.bootfiles import check_kernel
from ...model.machine import Accelerator, Arch, EfiBoot, LinuxBoot, MachineSpec
from ...units import MIB
from .argv import Engine
from .binary import OLDEST, install_hint
from .shares import find_virtiofsd

_KVM_MODULES = Path("/sys/module")


def problems(spec: MachineSpec, engine: Engine) -> Iterator[SnowshedError]:
    """What would make `spec` fail, each with what to do about it."""
    if engine.version < OLDEST:
        version = ".".join(map(str, engine.version))
        oldest = ".".join(map(str, OLDEST[:2]))
        yield UserError(f"{engine.program} is version {version}; snowshed needs {oldest}.", "Install a newer QEMU.")
    if spec.memory % MIB:
        yield UserError(f"{spec.memory} bytes of memory are not whole MiB.", "Give --memory in whole MiB.")
    yield from _boot(spec, engine)
    yield from _shares(spec, engine)
    if spec.rosetta:
        yield UserError("Rosetta runs in guests of Virtualization.framework only.", "Turn rosetta off, or use vz.")
    if spec.nested and not nests(engine.accelerator):
        yield UserError(
            f"Nested virtualisation needs KVM with nesting turned on; this guest runs under {engine.accelerator}.",
            "Turn nested_virtualization off, or load kvm_intel or kvm_amd with nested=1.",
        )


def nests(accelerator: Accelerator, modules: Path = _KVM_MODULES) -> bool:
    """Whether guests have virtualisation of their own (the parameter ``nested`` of Linux's KVM modules)."""
    if accelerator is not Accelerator.KVM:
        return False
    for module in ("kvm_intel", "kvm_amd"):
        with suppress(OSError):
            if (modules / module / "parameters" / "nested").read_text().strip() in ("Y", "1"):
                return True
    return False


def _boot(spec: MachineSpec, engine: Engine) -> Iterator[SnowshedError]:
    match spec.boot:
        case LinuxBoot(kernel=kernel, initrd=initrd):
            try:
                check_kernel(kernel, initrd, spec.arch)
            except UserError as error:
                yield error
        case EfiBoot() if engine.firmware is None:
            yield UserError(f"There is no UEFI firmware for {spec.arch} here.", _firmware_hint(spec.arch, engine))


def _firmware_hint(arch: Arch, engine: Engine) -> str:
    if engine.platform == "darwin":
        return install_hint(arch, engine.platform)
    package = {Arch.X86_64: "ovmf", Arch.AARCH64: "qemu-efi-aarch64"}[arch]
    return f"Install it: `apt install {package}` on Debian and Ubuntu, `edk2-ovmf` or `edk2-aarch64` elsewhere."


def _shares(spec: MachineSpec, engine: Engine) -> Iterator[SnowshedError]:
    if not spec.shares:
        return
    if engine.platform != "linux":
        yield UserError("QEMU shares directories on Linux only.", "Remove the shared directories, or use vz or vfkit.")
        return
    try:
        find_virtiofsd()
    except UserError as error:
        yield error
    for share in spec.shares:
        if not share.path.is_dir():
            yield UserError(f"The shared directory {share.path} does not exist.", "Make it, or remove the share.")
