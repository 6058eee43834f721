"""Which devices a machine gets on a given macOS: decided here, as a value, and carried out by `assemble`. Pure.

``since`` of everything is read off Apple's headers; nothing newer than the host's macOS is ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...guest.contract import contract
from ...model.machine import Arch, Disk, EfiBoot, LinuxBoot, MachineSpec, Network, Share
from ..mac import Mac

CONSOLE = "hvc0"

SAVE_FROM = (14, 0)
ROSETTA_CACHE_FROM = (14, 0)
NESTED_FROM = (15, 0)
"""``setNestedVirtualizationEnabled:``"""


@dataclass(frozen=True)
class Rosetta:
    """The share with Rosetta in it; `cached`: with the socket for its translation cache, at its default path."""

    tag: str
    cached: bool


@dataclass(frozen=True)
class Configuration:
    """A VM as the framework is told of it. `command_line` is for a direct boot, `variables` for an EFI one;
    `new_variables`: that file is to be made. `card`: ``nat``, ``dead-end`` or empty for none.
    """

    cores: int
    memory: int
    disks: tuple[Disk, ...]
    shares: tuple[Share, ...]
    mac: str
    card: str
    kernel: Path | None = None
    initrd: Path | None = None
    command_line: str = ""
    variables: Path | None = None
    new_variables: bool = False
    rosetta: Rosetta | None = None
    nested: bool = False
    entropy: bool = True
    unsavable: str = ""
    """Why the framework need not even be asked whether this machine may be saved."""


def configuration(spec: MachineSpec, mac: Mac, *, exists: Callable[[Path], bool]) -> Configuration:
    """The machine of `spec` on `mac`; `exists` tells which of its files there are already."""
    linux = spec.boot if isinstance(spec.boot, LinuxBoot) else None
    efi = spec.boot if isinstance(spec.boot, EfiBoot) else None
    return Configuration(
        cores=spec.cores,
        memory=spec.memory,
        disks=spec.disks,
        shares=spec.shares,
        mac=spec.mac,
        card={Network.NAT: "nat", Network.RESTRICTED: "dead-end", Network.NONE: ""}[spec.network],
        kernel=linux.kernel if linux else None,
        initrd=linux.initrd if linux else None,
        command_line=f"{linux.cmdline} console={CONSOLE}".strip() if linux else "",
        variables=efi.variables if efi else None,
        new_variables=efi is not None and not exists(efi.variables),
        rosetta=_rosetta(spec, mac),
        nested=spec.nested and mac.version >= NESTED_FROM,
        unsavable=_unsavable(mac),
    )


def _rosetta(spec: MachineSpec, mac: Mac) -> Rosetta | None:
    if not spec.rosetta or mac.arch is not Arch.AARCH64:
        return None
    return Rosetta(contract().shares.rosetta, cached=mac.version >= ROSETTA_CACHE_FROM)


def save_blocker(spec: MachineSpec, mac: Mac) -> str:
    """Why a machine can presumably not be saved, before the framework can be asked; empty if it can."""
    if blocker := _unsavable(mac):
        return blocker
    if spec.shares:
        return f"the shared directory {spec.shares[0].tag}"
    return "the Rosetta share" if spec.rosetta else ""


def _unsavable(mac: Mac) -> str:
    if mac.arch is not Arch.AARCH64:
        return "Intel Macs cannot save VMs"
    return "saving VMs came with macOS 14" if mac.version < SAVE_FROM else ""
