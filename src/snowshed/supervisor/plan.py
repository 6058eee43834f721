"""From what was asked for to a complete machine: pure."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..config import BuilderConfig
from ..errors import UserError
from ..guest.contract import contract
from ..images.store import load
from ..model.machine import Disk, EfiBoot, LinuxBoot, MachineSpec, Share
from ..paths import BuilderPaths
from ..shares import NIX_STORE


class Source(msgspec.Struct, frozen=True):
    """What the guest boots from: an image's kernel, initrd and read-only root, or a closure of the host's store.

    With neither kernel nor initrd it is an EFI image, and the data disk is its copy.
    """

    name: str
    kernel: Path | None = None
    initrd: Path | None = None
    root: Path | None = None
    cmdline: str = ""
    efi: Path | None = None


def closure_source(config: BuilderConfig) -> Source:
    """A direct boot of a NixOS closure, whose ``init`` is started from the host's store.

    A NixOS system says in ``kernel-params`` how it wants to be booted, which its boot loader would read otherwise.
    """
    return Source(
        name=config.system_path,
        kernel=Path(config.kernel),
        initrd=Path(config.initrd),
        cmdline=" ".join([f"init={config.system_path}/init", *_kernel_params(Path(config.system_path))]),
    )


def _kernel_params(system: Path) -> list[str]:
    try:
        return (system / "kernel-params").read_text().split()
    except OSError:
        return []


def image_source(folder: Path) -> Source:
    """The image in `folder`. Raises `UserError` where there is none."""
    image = load(folder)
    if image is None:
        raise UserError(
            f"{folder} holds no image that this snowshed can boot.",
            "`snowshed start` makes one; see `snowshed image list`.",
        )
    boot = image.boot
    if boot is None:
        return Source(name=image.name, efi=image.disk)
    return Source(name=image.name, kernel=boot.kernel, initrd=boot.initrd, root=image.root, cmdline=boot.cmdline)


def machine_spec(
    config: BuilderConfig, paths: BuilderPaths, source: Source, *, mac: str, machine_id: str
) -> MachineSpec:
    """The machine for `config` booting from `source`. `mac` and `machine_id` are the builder's own, for its life."""
    serials = contract().disks
    disks = [Disk(paths.disk, serials.data), Disk(paths.seed, serials.seed, read_only=True)]
    if source.root is not None:
        disks.insert(0, Disk(source.root, serials.root, read_only=True))
    return MachineSpec(
        name=paths.name,
        arch=config.arch,
        cores=config.cores,
        memory=config.memory,
        boot=_boot(source, paths),
        disks=tuple(disks),
        mac=mac,
        machine_id=machine_id,
        shares=_shares(config),
        network=config.network,
        accelerator=config.accel,
        nested=config.nested_virtualization,
        rosetta=config.rosetta,
    )


def _boot(source: Source, paths: BuilderPaths) -> LinuxBoot | EfiBoot:
    if source.kernel is None or source.initrd is None:
        return EfiBoot(paths.efi_variables)
    return LinuxBoot(source.kernel, source.initrd, source.cmdline)


def _shares(config: BuilderConfig) -> tuple[Share, ...]:
    shares = [Share(tag, Path(share.path), share.read_only) for tag, share in sorted(config.shares.items())]
    if config.shares_store:
        shares.insert(0, Share(contract().shares.nix_store, NIX_STORE, read_only=True))
    return tuple(shares)
