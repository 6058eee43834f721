"""The image that a start needs: found, or made while the person watches."""

from __future__ import annotations

from pathlib import Path

from ..config import BuilderConfig
from ..paths import BuilderPaths
from .progress import Progress
from .report import last_image


def image_for(paths: BuilderPaths, config: BuilderConfig, shown: Progress) -> str:
    """The directory of the image that `config` boots, or nothing where it boots a closure.

    Where firmware boots it, the builder has its copy afterwards. A builder that is suspended wakes with the image that
    it fell asleep with, though there be a newer one: its memory fits no other.
    """
    if config.kernel:
        return ""
    from ..images import own_disk, store

    if not config.image and (asleep_with := _of_the_suspended(paths)):
        return asleep_with
    image = store.ensure(config.arch, config.image, shown.moved, efi_disk=config.driver == "krunkit")
    if image.disk is not None:
        own_disk.make(paths, image, config.disk_size, shown.moved)
    return str(image.path)


def check_image(paths: BuilderPaths, config: BuilderConfig) -> None:
    """Raise `UserError` if the image that `config` names is not here, or the builder's disk is not for it."""
    if not config.image and not config.kernel:
        return  # the disk says which image it is a copy of, and that would be named then
    from ..images import own_disk, store

    image = store.of_arch(store.find(config.image), config.arch) if config.image else None
    own_disk.check(paths, image.name if image is not None and image.disk else "")


def _of_the_suspended(paths: BuilderPaths) -> str:
    """The directory of the image that a suspended builder's memory belongs to, if it is there; else empty."""
    from ..images import store

    if not (paths.suspend_state.exists() and paths.suspend_manifest.exists()):
        return ""
    folder = last_image(paths)
    return folder if folder and store.load(Path(folder)) is not None else ""
