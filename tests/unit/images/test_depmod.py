"""Our depmod beside the real one, on modules made here: what modprobe reads has to be the same."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from elves import Section, elf_file
from snowshed.errors import GuestError
from snowshed.images.depmod import dependencies, depmod, index, modinfo, underscored

RELEASE = "6.12.0-test"


def module(**entries: str | list[str]) -> bytes:
    """The smallest kernel module: an ELF object with a ``.modinfo`` and nothing to link."""
    pairs = [(key, value) for key, given in entries.items() for value in ([given] if isinstance(given, str) else given)]
    info = b"".join(f"{key}={value}\0".encode() for key, value in pairs)
    symbols = Section(".symtab", 2, bytes(24), link=3, info=1, entry=24)
    return elf_file(1, Section(".modinfo", 1, info, flags=2), symbols, Section(".strtab", 3, b"\0"))


MODULES = {
    "kernel/fs/one.ko": module(alias=["fs-one", "pci:v00001AF4d00001000sv*sd*bc*sc*i*"], depends="two-b,three"),
    "kernel/lib/two-b.ko.xz": lzma.compress(module(alias="fs-two", depends="three", softdep="pre: three")),
    "kernel/lib/three.ko": module(alias=["fs-one", "of:N*T*Cacme,a-b[a-c]-dC*", "char-major-10-200"], depends=""),
}


def tree(root: Path) -> Path:
    folder = root / "lib/modules" / RELEASE
    for name, data in MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "modules.order").write_text("kernel/lib/three.ko\nkernel/lib/two-b.ko\nkernel/fs/one.ko\n")
    (folder / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio-mmio.ko\n")
    return folder


def test_what_modprobe_reads_is_what_the_real_depmod_writes(tmp_path: Path) -> None:
    real = shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin")
    if real is None:
        pytest.skip("depmod is not installed (Debian: kmod)")
    ours, theirs = tree(tmp_path / "ours"), tree(tmp_path / "theirs")
    depmod(ours)
    subprocess.run([real, "-b", tmp_path / "theirs", RELEASE], check=True, capture_output=True)
    for name in ("modules.alias", "modules.alias.bin", "modules.softdep", "modules.builtin.bin"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def test_a_module_comes_after_all_that_it_needs(tmp_path: Path) -> None:
    folder = tree(tmp_path)
    depmod(folder)
    lines = dict(line.split(":") for line in (folder / "modules.dep").read_text().splitlines())
    assert lines["kernel/fs/one.ko"].split() == ["kernel/lib/two-b.ko.xz", "kernel/lib/three.ko"]
    assert lines["kernel/lib/three.ko"] == ""


def test_modprobe_finds_its_way(tmp_path: Path) -> None:
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin")
    if modprobe is None:
        pytest.skip("modprobe is not installed (Debian: kmod)")
    depmod(tree(tmp_path))
    done = subprocess.run([modprobe, "-d", tmp_path, "-S", RELEASE, "-D", "fs-two"], capture_output=True, text=True)
    loaded = [line.split("/")[-1].strip() for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(loaded)) == ["three.ko", "two-b.ko.xz"], done.stderr


def test_a_circle_of_needs_ends() -> None:
    assert dependencies({"a": ["b"], "b": ["a"], "c": ["a", "gone"]}) == {
        "a": ["b", "a"],
        "b": ["a", "b"],
        "c": ["a", "b"],
    }


def test_the_index_splits_keys_where_they_part() -> None:
    """Magic, version, a root that has children alone, and below it the common part and where the two part."""
    data = index([("snow", 0, "x"), ("snail", 1, "y")])
    magic, version, root = struct.unpack_from(">III", data)
    assert (magic, version, root >> 28) == (0xB007F457, 0x00020001, 0b0010)
    assert b"n\0ao" in data


def test_dashes_are_underscores_but_for_ranges() -> None:
    assert underscored("of:N*Cacme,a-b[a-c]-d") == "of:N*Cacme,a_b[a-c]_d"


@pytest.mark.parametrize("junk", [b"", b"\x7fELF\1\1", b"#!/bin/sh\n"])
def test_what_is_no_module_is_refused(junk: bytes) -> None:
    with pytest.raises(GuestError, match="no ELF file"):
        modinfo(junk)
