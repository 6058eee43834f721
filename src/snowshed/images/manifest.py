"""What an image says about itself: ``manifest.json`` in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from ..model.machine import Arch
from .apt import Package

FORMAT = 1
"""The manifest's own format: an image with another one is not used."""

NAME = "manifest.json"
KERNEL = "vmlinuz"
INITRD = "initrd"
ROOT = "root.erofs"
DISK = "disk.img"


class ImageFile(msgspec.Struct, frozen=True):
    """A file of the image: `size` in bytes."""

    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str


class PackageName(msgspec.Struct, frozen=True, order=True):
    """A package that the image was made of."""

    name: str
    version: str
    sha256: str


Named = Package | PackageName
"""A package as far as an image's address goes: both have its name, version and hash."""


class LinuxImage(msgspec.Struct, frozen=True, tag="linux"):
    """Booted directly: `cmdline` without what a driver adds (its console)."""

    kernel_version: str
    cmdline: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that make it."""
        return KERNEL, INITRD, ROOT


class EfiImage(msgspec.Struct, frozen=True, tag="efi"):
    """A raw disk that UEFI firmware boots; builders run from copies of it. `kernel_version` is empty where nobody
    knows it."""

    kernel_version: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that make it."""
        return (DISK,)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An image's description. `created` is seconds since the epoch; `contract` the guest contract it keeps.

    An image from elsewhere has neither recipe nor suite nor packages; `origin` is the name of the file it was.
    """

    format: int = FORMAT
    contract: int
    digest: str
    recipe: str
    system: str
    suite: str
    created: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
    boot: LinuxImage | EfiImage
    packages: tuple[PackageName, ...] = ()
    files: dict[str, ImageFile]
    origin: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether it describes an image at all: a system that a builder can have, and files that hold something."""
        known = self.system in {arch.nix_system for arch in Arch}
        return known and any(file.size for file in self.files.values())


def content_address(system: str, recipe: str, packages: Iterable[Named]) -> str:
    """The digest (64 hex digits) of an image for `system`: of its recipe's digest and of every package it is made of.

    Equal inputs give equal addresses, whatever mirror the packages came from.
    """
    inputs = {
        "format": FORMAT,
        "system": system,
        "recipe": recipe,
        "packages": sorted((p.name, p.version, p.sha256) for p in packages),
    }
    return hashlib.sha256(msgspec.json.encode(inputs, order="deterministic")).hexdigest()


def describe(path: Path) -> ImageFile:
    """Size and hash of the file `path`."""
    with path.open("rb") as stream:
        return ImageFile(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def encode(manifest: Manifest) -> bytes:
    """`manifest` as the bytes of its file, readable for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest:
    """The manifest in `data`. Raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(data, type=Manifest)
