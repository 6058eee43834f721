"""The image that a start needs: found, or made while the person watches."""

from __future__ import annotations

from ..config import BuilderConfig
from .progress import Progress


def image_for(config: BuilderConfig, shown: Progress) -> str:
    """The directory of the image that `config` boots, or nothing where it boots a closure."""
    if config.kernel:
        return ""
    from ..images import store

    return str(store.ensure(config.arch, config.image, shown.moved).path)
