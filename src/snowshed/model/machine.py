"""MachineSpec: what a driver is given. Sizes are bytes, paths absolute."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from ..errors import UserError


class Arch(StrEnum):
    """A processor architecture, under the name that Nix and QEMU give it."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"

    @property
    def nix_system(self) -> str:
        return f"{self}-linux"

    @property
    def foreign(self) -> Arch:
        """The architecture whose programs a guest of this one can run in emulation: the other one."""
        return Arch.AARCH64 if self is Arch.X86_64 else Arch.X86_64

    @property
    def debian(self) -> str:
        """What Debian calls it."""
        return {"x86_64": "amd64", "aarch64": "arm64"}[self]


_MACHINES = {"x86_64": Arch.X86_64, "amd64": Arch.X86_64, "aarch64": Arch.AARCH64, "arm64": Arch.AARCH64}


def arch_of_machine(machine: str) -> Arch | None:
    """The architecture that ``uname -m`` calls `machine`, or None for one no guest exists for."""
    return _MACHINES.get(machine.lower())


def arch_of_system(system: str) -> Arch:
    """The architecture of a Nix system such as ``aarch64-linux``. Raises `UserError`."""
    for arch in Arch:
        if system == arch.nix_system:
            return arch
    known = " or ".join(arch.nix_system for arch in Arch)
    raise UserError(f"{system!r} is not a system that a builder can have.", f"Use {known}.")


class Network(StrEnum):
    """What a guest reaches. The host reaches the guest's SSH in each of them."""

    NAT = "nat"
    """The outside world through the host's address."""
    RESTRICTED = "restricted"
    """Nothing: neither the host nor the world. The network card is there, and its packets go nowhere."""
    NONE = "none"
    """Nothing, and no address either. With vsock there is not even a network card."""


class Accelerator(StrEnum):
    """What executes the guest's instructions."""

    AUTO = "auto"
    KVM = "kvm"
    HVF = "hvf"
    TCG = "tcg"


class LinuxBoot(msgspec.Struct, frozen=True, tag="linux"):
    """Direct boot of a kernel; `cmdline` without what the driver itself adds (its console)."""

    kernel: Path
    initrd: Path
    cmdline: str


class EfiBoot(msgspec.Struct, frozen=True, tag="efi"):
    """Firmware boots the disk with the serial ``root`` or, with none such, the first disk."""

    variables: Path


class Disk(msgspec.Struct, frozen=True):
    """A raw disk image, seen in the guest under `serial` (at most 20 ASCII characters)."""

    path: Path
    serial: str
    read_only: bool = False


class Share(msgspec.Struct, frozen=True):
    """A host directory, seen in the guest by virtiofs under `tag` (1 to 35 bytes)."""

    tag: str
    path: Path
    read_only: bool = True


class MachineSpec(msgspec.Struct, frozen=True):
    """A virtual machine, complete: two equal specs start equal machines."""

    name: str
    arch: Arch
    cores: int
    memory: int
    boot: LinuxBoot | EfiBoot
    disks: tuple[Disk, ...]
    mac: str
    machine_id: str
    shares: tuple[Share, ...] = ()
    network: Network = Network.NAT
    accelerator: Accelerator = Accelerator.AUTO
    nested: bool = False
    rosetta: bool = False
