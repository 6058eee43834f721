"""Looking after the images on this machine: whether they are whole, which nobody needs, and whether newer are to be
had."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from ..model.machine import Arch
from . import debian, freshness, store
from .apt import DEFAULT_SUITE
from .freshness import Change
from .manifest import ImageFile, Named
from .progress import Report, silent
from .store import Image


def damage(image: Image, report: Report = silent) -> list[str]:
    """What is not as the manifest of `image` says: a phrase for each file. Reads all of it."""
    found = []
    done = 0
    for name, about in image.manifest.files.items():
        if problem := _damage(image.path / name, about):
            found.append(f"{name} {problem}")
        done += about.size
        report(f"reading {image.name}", done / image.size)
    return found


def _damage(file: Path, about: ImageFile) -> str:
    try:
        size = file.stat().st_size
        if size != about.size:
            return f"has {size} bytes instead of {about.size}"
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if digest == about.sha256 else "has another content than it was made with"


def unused(images: Sequence[Image], *, imported: bool = False) -> list[Image]:
    """Those of `images` that no builder runs from or was last started from. Imported ones, which nobody can make
    again, count only if `imported`."""
    return [
        image
        for image in images
        if (imported or image.manifest.recipe) and not store.builders_using(image) and not store.is_held(image)
    ]


class Upgrade(msgspec.Struct, frozen=True):
    """What came of an upgrade: the image of before (None: there was none) and that of now (None: it was not made),
    and what changed between their packages."""

    system: str
    before: Image | None
    after: Image | None
    changes: tuple[Change, ...]


class Maker(Protocol):
    """Who asks Debian and makes images: `debian` on this machine, `inside.host.Inside` in a builder."""

    def look(self, arch: Arch, suite: str, mirror: str, report: Report) -> Sequence[Named]: ...

    def build(self, arch: Arch, suite: str, mirror: str, report: Report, *, efi_disk: bool = False) -> debian.Built: ...


def look(
    arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent, *, maker: Maker = debian
) -> Upgrade:
    """Ask Debian what an image for `arch` would be made of now, and make none. Raises what `upgrade` raises."""
    packages = maker.look(arch, suite, mirror, report)
    before = _newest(arch, suite)
    return Upgrade(arch.nix_system, before, None, _changes(before, freshness.versions(packages)))


def upgrade(
    arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent, *, maker: Maker = debian
) -> Upgrade:
    """Have `maker` make the image for `arch` from what Debian has now, if that differs from the newest image here.

    Raises `GuestError` where Debian cannot be asked, and what `debian.build` raises.
    """
    before = _newest(arch, suite)
    built = maker.build(arch, suite, mirror, report)
    if built.stale_lists:
        raise debian.unreachable(mirror)
    changed = _changes(before, freshness.versions(built.image.manifest.packages))
    return Upgrade(arch.nix_system, before, built.image, changed)


def _changes(before: Image | None, now: dict[str, str]) -> tuple[Change, ...]:
    return tuple(freshness.changes(freshness.versions(before.manifest.packages), now)) if before else ()


def _newest(arch: Arch, suite: str) -> Image | None:
    """The image that a builder for `arch` would be started from now, if it is of `suite`."""
    found = store.newest(arch, current=True) or store.newest(arch, current=False)
    return found if found is not None and found.manifest.suite == suite else None
