"""The image that a start needs: found, or made while the person watches."""

from __future__ import annotations

from ..config import BuilderConfig
from ..paths import BuilderPaths
from .progress import Progress


def image_for(paths: BuilderPaths, config: BuilderConfig, shown: Progress) -> str:
    """The directory of the image that `config` boots, or nothing where it boots a closure.

    Where firmware boots it, the builder has its copy afterwards.
    """
    if config.kernel:
        return ""
    from ..images import own_disk, store

    image = store.ensure(config.arch, config.image, shown.moved, efi_disk=config.driver == "krunkit")
    if image.disk is not None:
        own_disk.make(paths, image, config.disk_size, shown.moved)
    return str(image.path)
