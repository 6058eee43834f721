"""Raw disks from elsewhere as images: looked at, copied to where images are, and known by the hash of their content."""

from __future__ import annotations

import time
from pathlib import Path

from .. import paths
from ..errors import UserError
from ..guest.contract import contract
from ..model.machine import Arch
from . import copying, raw, store, workshop
from . import manifest as manifests
from .manifest import EfiImage, ImageFile, Manifest
from .progress import Report, silent

STAGE = "copy"


def import_disk(
    file: Path, arch: Arch | None = None, report: Report = silent, origin: str = ""
) -> tuple[store.Image, bool]:
    """The raw disk image `file` as an image for `arch` (None: what its boot loader is for), and whether it is a new
    one. `origin` is what it was called where it came from, by default the file's name.

    Raises `UserError` for what is no such disk, and where there is no room.
    """
    facts = raw.inspect(file)
    arch = _settled(file, facts.archs, arch)
    with workshop.only_one(report):
        workshop.require_space(file.stat().st_blocks * 512, "Importing it")
        with workshop.folder() as place:
            digest = copying.copy_and_digest(file, place / manifests.DISK, report, STAGE)
            target = paths.images_root() / store.name_of(arch, digest)
            existing = store.load(target)
            if existing is not None:
                return existing, False
            manifest = Manifest(
                contract=contract().version,
                digest=digest,
                recipe="",
                system=arch.nix_system,
                suite="",
                created=int(time.time()),
                boot=EfiImage(),
                files={manifests.DISK: ImageFile(facts.size, digest)},
                origin=origin or file.name,
            )
            workshop.publish(place, target, manifest)
    return store.Image(target, manifest), True


def _settled(file: Path, found: tuple[Arch, ...], wanted: Arch | None) -> Arch:
    """The architecture of the image. Raises `UserError` where that is not clear, or not the wanted one."""
    systems = " and ".join(arch.nix_system for arch in found)
    if wanted is None and len(found) > 1:
        raise UserError(f"{file} boots on {systems}.", "Say with --system which it is to be for.")
    if wanted is not None and wanted not in found:
        raise UserError(
            f"The boot loader of {file} is for {systems}, not for {wanted.nix_system}.",
            f"Import it for --system {found[0].nix_system}, or get the image for {wanted.nix_system}.",
        )
    return wanted or found[0]
