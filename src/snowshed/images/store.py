"""The images on this machine: ``~/.cache/snowshed/images/<architecture>-<16 digits of the digest>/``.

An image is there when its folder is there under that name: builds happen in folders of another name, are synced, and
renamed when they are complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import paths, state
from ..errors import UserError
from ..guest.contract import contract
from ..model.machine import Arch, LinuxBoot, arch_of_system
from . import manifest as manifests
from . import own_disk, recipe
from .manifest import EfiImage, Manifest
from .progress import Report, silent

DIGITS = 16
_LEAST_DIGITS = 4


class Image(msgspec.Struct, frozen=True):
    """An image on this machine; `path` is its folder."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def arch(self) -> Arch:
        return arch_of_system(self.manifest.system)

    @property
    def boot(self) -> LinuxBoot | None:
        """How a machine boots this image directly; None for a disk that firmware boots."""
        if isinstance(self.manifest.boot, EfiImage):
            return None
        return LinuxBoot(self.path / manifests.KERNEL, self.path / manifests.INITRD, self.manifest.boot.cmdline)

    @property
    def root(self) -> Path:
        """The read-only root disk of one that is booted directly."""
        return self.path / manifests.ROOT

    @property
    def disk(self) -> Path | None:
        """The raw disk of one that firmware boots; a builder runs from a copy of it."""
        return self.path / manifests.DISK if self.boot is None else None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.manifest.files.values())

    @property
    def taken(self) -> int:
        """Bytes that it takes of the disk: disks have holes."""
        return sum(file.stat().st_blocks * 512 for file in self.path.iterdir())


def name_of(arch: Arch, digest: str) -> str:
    """The folder name of the image with `digest`."""
    return f"{arch}-{digest[:DIGITS]}"


def load(path: Path) -> Image | None:
    """The image in the folder `path`, or None where there is none, or one that this version cannot use."""
    try:
        manifest = manifests.decode((path / manifests.NAME).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    if (manifest.format, manifest.contract) != (manifests.FORMAT, contract().version) or not manifest.is_sound:
        return None
    return Image(path, manifest)


def images() -> list[Image]:
    """All images that this version can use, the newest first."""
    root = paths.images_root()
    found = [load(path) for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    return sorted((i for i in found if i), key=lambda image: (image.manifest.created, image.name), reverse=True)


def find(name: str) -> Image:
    """The image that `name` means: a folder name, the beginning of one or of its digest, or the path of a folder.

    Raises `UserError` where there is none, or more than one.
    """
    if "/" in name:
        if Path(name).expanduser().is_file():
            raise UserError(f"{name} is a file, and no image yet.", f"Make it one: `snowshed image import {name}`.")
        image = load(Path(name).expanduser().absolute())
        if image is None:
            raise UserError(f"{name} holds no image that this snowshed can use.", "Name a folder with a manifest.json.")
        return image
    matches = [image for image in images() if _is_meant(image, name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(
            f"{name!r} means {len(matches)} images.", f"Write more of it: {', '.join(i.name for i in matches)}."
        )
    raise UserError(f"There is no image {name!r}.", "`snowshed image list` shows those that are here.")


def _is_meant(image: Image, name: str) -> bool:
    digest = len(name) >= _LEAST_DIGITS and image.manifest.digest.startswith(name)
    return image.name.startswith(name) or digest


def newest(arch: Arch, *, current: bool, efi_disk: bool = False) -> Image | None:
    """The newest image for `arch` that we made, a raw disk where `efi_disk` says so; `current`: made by the recipe of
    this version of snowshed."""
    ours = (i for i in images() if i.arch is arch and i.manifest.recipe and (i.disk is not None) == efi_disk)
    return next((i for i in ours if not current or i.manifest.recipe == recipe.digest()), None)


def ensure(arch: Arch, wanted: str = "", report: Report = silent, *, efi_disk: bool = False) -> Image:
    """The image that a builder for `arch` boots: `wanted` (as in `find`), else the newest that this version's recipe
    made, and where there is none it is built; `efi_disk`: one that firmware boots.

    Where it cannot be built (no apt, no network), the one that was released with this version is fetched; else an
    older image that keeps the same contract does. Raises `UserError` for a wanted one that is not there or of another
    architecture, and what `debian.build` and `released.fetch` raise.
    """
    from . import debian

    if wanted:
        return of_arch(find(wanted), arch)
    image = newest(arch, current=True, efi_disk=efi_disk)
    if image is not None:
        return image
    try:
        return debian.build(arch, report=report, efi_disk=efi_disk).image
    except UserError:
        if (released := _released(arch, report, efi_disk=efi_disk)) is not None:
            return released
        older = newest(arch, current=False, efi_disk=efi_disk)
        if older is None:
            raise
        return older


def _released(arch: Arch, report: Report, *, efi_disk: bool) -> Image | None:
    from . import released

    source = None if efi_disk else released.known(arch)
    return released.fetch(source, report)[0] if source is not None else None


def of_arch(image: Image, arch: Arch) -> Image:
    """`image`, if it is for `arch`. Raises `UserError`."""
    if image.arch is not arch:
        raise UserError(
            f"The image {image.name} is for {image.manifest.system}, and the builder for {arch.nix_system}.",
            f"Give --system {image.manifest.system}, or another image.",
        )
    return image


def remove(image: Image, *, force: bool = False) -> None:
    """Delete `image`. Raises `UserError` where a builder runs from it, or one of this user was last started from it,
    unless `force`."""
    if not force and is_held(image):
        raise UserError(f"A builder runs from the image {image.name}.", "`snowshed list` shows them.")
    users = [] if force else builders_using(image)
    if users:
        raise UserError(
            f"The image {image.name} is used by the builder {', '.join(users)}.",
            "Stop it and destroy it first, or use --force: a running builder needs its image, a stopped one "
            "makes or takes another at its next start.",
        )
    doomed = image.path.with_name(f".removed-{image.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    image.path.rename(doomed)
    shutil.rmtree(doomed)


def hold(folder: Path) -> int:
    """Let everybody see that somebody runs from the image in `folder`, until the descriptor is closed, if only by our
    end. Who looks (`is_held`) keeps us waiting for an instant at most."""
    descriptor = os.open(folder / manifests.NAME, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):  # on a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_held(image: Image) -> bool:
    """Whether anybody runs from `image` now, wherever they keep their state."""
    return state.held(image.path / manifests.NAME, shared=True)


def builders_using(image: Image) -> list[str]:
    """The names of this user's builders whose last start was from `image`, or whose disk is a copy of it. The builders
    of the system are their account's."""
    builders = [paths.BuilderPaths(name) for name in state.builders(paths.state_root())]
    if paths.serves_the_system():
        builders += [paths.BuilderPaths(name, paths.SYSTEM_STATE / name) for name in state.builders(paths.SYSTEM_STATE)]
    return [b.name for b in builders if image.name in (_last_image(b.last_config), own_disk.origin_of(b))]


def _last_image(config: Path) -> str:
    """The name of the image in a builder's last effective configuration, or an empty text."""
    try:
        data = msgspec.json.decode(config.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return ""
    return Path(str(data.get("image", ""))).name if isinstance(data, dict) else ""
