"""Kernels and initrds are told by their first bytes; what cannot boot is refused with the reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from specs import INITRD, KERNELS

from snowshed.errors import UserError
from snowshed.guest.bootfiles import Kind, arch_of_kernel, check, kind_of
from snowshed.model.machine import Arch

X86, ARM = KERNELS[Arch.X86_64], KERNELS[Arch.AARCH64]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (X86, Kind.X86_64),
        (ARM, Kind.AARCH64),
        (b"MZ\0\0zimg" + bytes(600), Kind.ZBOOT),
        (b"\x7fELF" + bytes(600), Kind.ELF),
        (INITRD, Kind.INITRD),
        (gzip.compress(INITRD, mtime=0), Kind.INITRD),
        (b"\x28\xb5\x2f\xfd" + bytes(9), Kind.INITRD),
        (b"", Kind.EMPTY),
        (b"hello", Kind.UNKNOWN),
        (bytes(600), Kind.UNKNOWN),
    ],
)
def test_files_are_told_apart(header: bytes, kind: Kind) -> None:
    assert kind_of(header) is kind


class Files:
    """A kernel, an initrd and a system that fit, until a test says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.kernel, self.initrd, self.system = folder / "kernel", folder / "initrd", folder / "system"
        self.kernel.write_bytes(X86)
        self.initrd.write_bytes(INITRD)
        self.system.mkdir()
        (self.system / "init").write_text("#!/bin/sh\n")

    def check(self) -> None:
        check(self.kernel, self.initrd, self.system, Arch.X86_64)

    def refusal(self) -> UserError:
        with pytest.raises(UserError) as caught:
            self.check()
        return caught.value


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_fits_is_let_through(files: Files) -> None:
    files.check()


def test_swapped_files_are_recognised_and_the_right_order_is_given(files: Files) -> None:
    files.kernel, files.initrd = files.initrd, files.kernel
    error = files.refusal()
    assert error.message == "Kernel and initrd are swapped."
    assert error.hint == f"Use --kernel {files.initrd} --initrd {files.kernel}."


@pytest.mark.parametrize("role", ["kernel", "initrd"])
def test_a_file_that_is_missing(role: str, files: Files) -> None:
    path: Path = getattr(files, role)
    path.unlink()
    assert files.refusal().message == f"The {role} {path} cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty."),
        (b"hello", "it is neither kernel nor initrd."),
        (b"MZ\0\0zimg" + bytes(600), "it is a compressed EFI kernel."),
        (INITRD, "it is an initrd."),
    ],
)
def test_a_kernel_that_is_none(content: bytes, said: str, files: Files) -> None:
    files.kernel.write_bytes(content)
    assert files.refusal().message == f"The kernel {files.kernel} is not one: {said}"


def test_an_initrd_that_is_none(files: Files) -> None:
    files.initrd.write_bytes(X86)
    assert files.refusal().message == f"The initrd {files.initrd} is not one: it is a kernel for x86_64."


def test_a_kernel_for_another_machine(files: Files) -> None:
    files.kernel.write_bytes(ARM)
    assert "is for aarch64, and the builder is x86_64-linux" in files.refusal().message


def test_a_system_without_init(files: Files) -> None:
    (files.system / "init").unlink()
    assert "has no `init`" in files.refusal().message


def test_a_kernel_tells_the_architecture(files: Files) -> None:
    assert arch_of_kernel(files.kernel) is Arch.X86_64
    assert arch_of_kernel(files.initrd) is None
    assert arch_of_kernel(files.kernel / "missing") is None
