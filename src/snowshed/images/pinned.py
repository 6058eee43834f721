"""The Debian guest image from packages that are there already: what the Nix package of it runs, also on a Mac.

    python -m snowshed.images.pinned [--efi] LIST FOLDER PACKAGE.deb...

LIST is a JSON file that `pin` wrote: the packages that the recipe resolved to, with their hashes, and where in a
Debian archive each lies. The package files are given in that order; FOLDER is made, and holds the image then. With
--efi it is a disk that UEFI firmware boots, and the package of the stub comes last.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..errors import UserError
from ..model.machine import Arch, arch_of_system
from . import debian
from . import manifest as manifests
from .apt import DEFAULT_SUITE, Package, PrivateApt
from .progress import silent
from .recipe import recipe


class PinnedPackage(msgspec.Struct, frozen=True):
    """A package, and its `path` below the root of any Debian archive: no mirror is named."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    path: str

    @property
    def package(self) -> Package:
        return Package(self.name, self.version, self.architecture, self.sha256, self.size, self.path)


class Pins(msgspec.Struct, frozen=True):
    """What an image for `system` is made of."""

    system: str
    suite: str
    packages: tuple[PinnedPackage, ...]
    stub: PinnedPackage
    """What else a disk for UEFI firmware is made of."""

    def wanted(self, *, efi_disk: bool) -> tuple[PinnedPackage, ...]:
        """The packages of the image, or with `efi_disk` of the disk, in the order of their files."""
        return (*self.packages, self.stub) if efi_disk else self.packages


def pin(arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "") -> Pins:
    """What the recipe resolves to on `mirror` now. Raises what `PrivateApt` raises."""
    apt = PrivateApt(arch, suite, mirror, provided=recipe().provided)
    apt.update()
    *packages, stub = (_pinned(package, apt.mirror) for package in debian.resolve(apt, efi_disk=True))
    return Pins(arch.nix_system, suite, tuple(packages), stub)


def _pinned(package: Package, mirror: str) -> PinnedPackage:
    path = package.uri.removeprefix(mirror)
    if not path.startswith("pool/"):
        raise UserError(f"{package.name} lies outside the archive's pool: {package.uri}.", "Use another --mirror.")
    return PinnedPackage(package.name, package.version, package.architecture, package.sha256, package.size, path)


def check(pinned: Sequence[PinnedPackage], files: Sequence[Path]) -> None:
    """Raise `UserError` unless `files` are the packages `pinned`, in their order."""
    if len(files) != len(pinned):
        raise UserError(f"{len(pinned)} packages are pinned, and {len(files)} files were given.")
    for package, file in zip(pinned, files, strict=True):
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != package.sha256:
                raise UserError(f"{file} is not the package {package.name} {package.version} that is pinned.")


def make(pins: Pins, files: Sequence[Path], folder: Path, *, efi_disk: bool = False) -> manifests.Manifest:
    """Make the image of `pins` in the new `folder`. Equal pins give equal images, whenever and wherever."""
    pinned = pins.wanted(efi_disk=efi_disk)
    check(pinned, files)
    packages = [one.package for one in pinned]
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        made = debian.make(place, arch_of_system(pins.system), pins.suite, packages, files, silent)
        manifest = msgspec.structs.replace(made, created=0)
        for name in manifest.files:
            (folder / name).write_bytes((place / name).read_bytes())
        for path in (place / "tree").rglob("*"):  # folders that their owner may not write cannot be cleaned up
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
    (folder / manifests.NAME).write_bytes(manifests.encode(manifest))
    return manifest


def main(words: Sequence[str]) -> int:
    """``[--efi] LIST FOLDER PACKAGE.deb...``"""
    efi_disk = words[0] == "--efi"
    listed, folder, *files = (Path(word) for word in words[int(efi_disk) :])
    make(msgspec.json.decode(listed.read_bytes(), type=Pins), files, folder, efi_disk=efi_disk)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
