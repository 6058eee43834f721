"""The libraries of a program, as the dynamic linker names them: of a real program, and of trees that are made up."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from elves import Section, elf_file
from snowshed.images import elf


def library(*needs: str) -> bytes:
    """The smallest ELF file with a dynamic section that asks for `needs`."""
    strings = b"\0" + b"".join(f"{need}\0".encode() for need in needs)
    dynamic = b"".join(struct.pack("<qQ", 1, strings.index(f"\0{need}\0".encode()) + 1) for need in needs)
    dynamic += struct.pack("<qQ", 0, 0)
    return elf_file(3, Section(".dynamic", 6, dynamic, flags=3, link=2, entry=16), Section(".dynstr", 3, strings))


def place(tree: Path, name: str, data: bytes) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_bytes(data)


@pytest.mark.skipif(sys.platform != "linux", reason="needs programs in the format of Linux")
def test_a_real_program_needs_what_its_linker_loads() -> None:
    program = Path("/bin/ls").resolve()
    loaded = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    needs = elf.needed(program.read_bytes())
    assert "libc.so.6" in needs
    assert all(f"\t{need} => " in loaded for need in needs)


def test_every_library_comes_once_after_the_first_that_needs_it(tmp_path: Path) -> None:
    place(tmp_path, "usr/sbin/sshd", library("libcrypto.so.3", "libc.so.6"))
    place(tmp_path, "usr/lib/openssh/sshd-session", library("libpam.so.0", "libcrypto.so.3"))
    place(tmp_path, "usr/lib/aarch64-linux-gnu/libcrypto.so.3", library("libz.so.1", "libc.so.6"))
    for name in ("libc.so.6", "libz.so.1", "libpam.so.0"):
        place(tmp_path, f"usr/lib/aarch64-linux-gnu/{name}", library())
    libraries = [f"usr/lib/aarch64-linux-gnu/{name}" for name in ("libcrypto.so.3", "libz.so.1", "libc.so.6")]
    assert elf.closure(tmp_path, ["usr/sbin/sshd", "usr/lib/openssh/sshd-session"]) == [
        *("usr/sbin/sshd", *libraries),
        *("usr/lib/openssh/sshd-session", "usr/lib/aarch64-linux-gnu/libpam.so.0"),
    ]


def test_scripts_and_what_the_tree_does_not_have_are_no_error(tmp_path: Path) -> None:
    place(tmp_path, "usr/sbin/sshd", library("libgone.so.1"))
    place(tmp_path, "usr/bin/script", b"#!/bin/sh\n")
    programs = ["usr/bin/script", "usr/lib/openssh/sshd-session", "usr/sbin/sshd"]
    assert elf.closure(tmp_path, programs) == ["usr/bin/script", "usr/sbin/sshd"]
