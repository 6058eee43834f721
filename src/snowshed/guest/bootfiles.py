"""What a kernel and an initrd look like, and the check of those that a person names, before anything starts.

Told by their first bytes: x86 ``bzImage`` (``HdrS`` at 0x202, Linux ``Documentation/arch/x86/boot.rst``), arm64
``Image`` (``ARM\\x64`` at 0x38, ``Documentation/arch/arm64/booting.rst``), EFI zboot (``zimg`` after ``MZ``,
``drivers/firmware/efi/libstub/zboot-header.S``); cpio archives and what they are compressed with by their magic
numbers (``Documentation/driver-api/early-userspace/buffer-format.rst``, ``lib/decompress.c``).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from .. import given
from ..errors import UserError
from ..model.machine import Arch

HEADER = 0x240
"""Bytes that tell every format apart."""


class Kind(StrEnum):
    """What a file is, in words that fit after "it is"."""

    X86_64 = "a kernel for x86_64"
    AARCH64 = "a kernel for aarch64"
    ZBOOT = "a compressed EFI kernel"
    ELF = "an ELF file, such as vmlinux"
    INITRD = "an initrd"
    EMPTY = "empty"
    UNKNOWN = "neither"


KERNELS = {Kind.X86_64: Arch.X86_64, Kind.AARCH64: Arch.AARCH64}

_INITRDS = (
    b"070701",
    b"070702",
    b"\x1f\x8b",  # gzip
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x02\x21\x4c\x18",  # lz4, legacy frame
    b"\x5d\x00\x00",  # lzma
    b"BZh",
    b"\x89LZO",
)


def kind_of(header: bytes) -> Kind:
    """What begins with `header`, at least `HEADER` bytes of it where the file has as many."""
    if not header:
        return Kind.EMPTY
    if header[0x202:0x206] == b"HdrS":
        return Kind.X86_64
    if header[0x38:0x3C] == b"ARM\x64":
        return Kind.AARCH64
    if header[:2] == b"MZ" and header[4:8] == b"zimg":
        return Kind.ZBOOT
    if header[:4] == b"\x7fELF":
        return Kind.ELF
    return Kind.INITRD if header.startswith(_INITRDS) else Kind.UNKNOWN


def arch_of_kernel(kernel: Path) -> Arch | None:
    """The architecture that a kernel is for; None for what is no kernel, or is not there."""
    try:
        return KERNELS.get(_kind(kernel, ""))
    except UserError:
        return None


def check(kernel: Path, initrd: Path, system: Path, arch: Arch) -> None:
    """Raise `UserError` unless a machine of `arch` can boot `system` with these files, as far as files tell."""
    check_kernel(kernel, initrd, arch)
    if not (system / "init").exists():
        raise UserError(
            f"The system {system} cannot be booted: it has no `init`.",
            "Give the path of a NixOS system, such as config.system.build.toplevel.",
        )


def check_kernel(kernel: Path, initrd: Path, arch: Arch) -> None:
    """Raise `UserError` unless these are a kernel for `arch` and an initrd."""
    kinds = (_kind(kernel, "kernel"), _kind(initrd, "initrd"))
    if kinds[0] is Kind.INITRD and kinds[1] in KERNELS:
        raise UserError("Kernel and initrd are swapped.", f"Use --kernel {initrd} --initrd {kernel}.")
    if kinds[0] not in KERNELS:
        raise _not_a_kernel(kernel, kinds[0])
    if KERNELS[kinds[0]] is not arch:
        raise UserError(
            f"The kernel {kernel} is for {KERNELS[kinds[0]]}, and the builder is {arch.nix_system}.",
            f"Give a kernel for {arch}, or set `system` to {KERNELS[kinds[0]].nix_system}.",
        )
    if kinds[1] is not Kind.INITRD:
        raise UserError(
            f"The initrd {initrd} is not one: it is {kinds[1]}.",
            "Use the file that was made beside the kernel, a cpio archive that may be compressed.",
        )


def _not_a_kernel(kernel: Path, kind: Kind) -> UserError:
    hint = "Use a bzImage (x86_64) or an Image (aarch64), as your kernel package has it."
    if kind is Kind.ZBOOT:
        hint = "Use the uncompressed `Image` of the same kernel: few hypervisors can unpack this one."
    said = "it is neither kernel nor initrd" if kind is Kind.UNKNOWN else f"it is {kind}"
    return UserError(f"The kernel {kernel} is not one: {said}.", hint)


def _kind(file: Path, role: str) -> Kind:
    try:
        with given.opened(file) as stream:
            return kind_of(stream.read(HEADER))
    except OSError as error:
        raise UserError(
            f"The {role} {file} cannot be read: {error.strerror}.", f"Check the path after --{role}."
        ) from error
