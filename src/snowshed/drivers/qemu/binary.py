"""The QEMU program for an architecture: where it is, how old it is, and how to get one."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path

from ...errors import GuestError, UserError
from ...model.machine import Arch
from ...process import find, run

OLDEST = (7, 0, 0)
"""``-action panic=``, ``pvpanic-pci`` and ``memory-backend`` with every machine are all in it."""

_DEBIAN_PACKAGES = {Arch.X86_64: "qemu-system-x86", Arch.AARCH64: "qemu-system-arm"}
_VERSION_SECONDS = 20.0


def program(arch: Arch) -> str:
    """The path of ``qemu-system-<arch>``. Raises `UserError` with how to install it."""
    return find(f"qemu-system-{arch}", install_hint(arch, sys.platform))


def install_hint(arch: Arch, platform: str) -> str:
    """What to do where there is no QEMU for `arch`."""
    if platform == "darwin":
        return "Install it with `brew install qemu` or `nix profile install nixpkgs#qemu`."
    return f"Install it: `apt install {_DEBIAN_PACKAGES[arch]}` on Debian and Ubuntu, `qemu` elsewhere."


def version(path: str) -> tuple[int, int, int]:
    """The version of the QEMU at `path`. Raises `UserError` where it does not say or does not start."""
    return _version(path, Path(path).stat().st_mtime_ns)


@lru_cache
def _version(path: str, _modified: int) -> tuple[int, int, int]:
    try:
        text = run([path, "--version"], timeout=_VERSION_SECONDS)
    except GuestError as error:
        raise UserError(f"{path} does not work: {error.message}", "Install QEMU anew.") from error
    return parse_version(text)


def parse_version(text: str) -> tuple[int, int, int]:
    """``QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)`` as numbers. Raises `UserError`."""
    match = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise UserError(f"This is not a QEMU: it calls itself {text.strip()[:80]!r}.", "Look at your PATH.")
    return int(match[1]), int(match[2]), int(match[3] or 0)
