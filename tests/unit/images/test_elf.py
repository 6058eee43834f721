"""The libraries of a program, as the dynamic linker names them: of a real program, and of trees that are made up."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from snowshed.images import elf


def library(*needs: str) -> bytes:
    """The smallest ELF file with a dynamic section that asks for `needs`."""
    names = b"\0.dynamic\0.dynstr\0.shstrtab\0"
    strings = b"\0" + b"".join(f"{need}\0".encode() for need in needs)
    dynamic = b"".join(struct.pack("<qQ", 1, strings.index(f"\0{need}\0".encode()) + 1) for need in needs)
    dynamic += struct.pack("<qQ", 0, 0)
    parts = [b"\0" * 64, dynamic, strings, names]
    starts = [sum(map(len, parts[:number])) for number in range(len(parts) + 1)]
    table = [
        (0,) * 10,
        (1, 6, 3, 0, starts[1], len(dynamic), 2, 0, 8, 16),
        (10, 3, 2, 0, starts[2], len(strings), 0, 0, 1, 0),
        (18, 3, 0, 0, starts[3], len(names), 0, 0, 1, 0),
    ]
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 0, starts[4], 0, 64, 0, 0, 64, 4, 3)
    return header + b"".join(parts[1:]) + b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in table)


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
