"""The recipe of the Debian guest: ``debian/recipe.toml``, and the hash of everything that it means."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import msgspec

from ..guest.contract import CONTRACT_FILE
from ..model.machine import Arch

DATA = Path(__file__).with_name("debian")
"""Our own files in the guest: ``etc`` for /etc, ``lib`` for /usr/lib/snowshed, ``sbin``, and the initrd's script."""

_CODE = ("recipe.py", "rootfs.py", "initrd.py", "elf.py", "debian.py", "efi.py", "uki.py", "fat.py", "gpt.py")


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content; each field is explained there."""

    packages: tuple[str, ...]
    provided: tuple[str, ...]
    left_out: tuple[str, ...]
    pruned: tuple[str, ...]
    module_folders: tuple[str, ...]
    boot_modules: tuple[str, ...]
    read_ahead: tuple[str, ...]
    cmdline: str
    linked: tuple[str, ...]
    unlinked: tuple[str, ...]
    fifos: tuple[str, ...]
    build_users: int
    build_users_base: int
    parts: dict[str, tuple[str, ...]]

    def packages_for(self, arch: Arch) -> list[str]:
        """The packages that are asked for by name."""
        return [*self.packages, f"linux-image-cloud-{arch.debian}"]

    def parts_of(self, package: str, arch: Arch) -> tuple[str, ...]:
        """The only files that an image for `arch` takes from `package`; none: all of it."""
        return tuple(part.format(foreign=arch.foreign) for part in self.parts.get(package, ()))


@cache
def recipe() -> Recipe:
    """The recipe of this version of snowshed."""
    return msgspec.toml.decode((DATA / "recipe.toml").read_bytes(), type=Recipe)


@cache
def digest() -> str:
    """A hash of everything that makes an image besides its packages: our files, and the code that places them."""
    package = Path(__file__).parents[1]
    sources = [CONTRACT_FILE, *(package / "images" / name for name in _CODE)]
    sources += sorted(path for path in DATA.rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in sources:
        name = path.relative_to(package).as_posix()
        total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
