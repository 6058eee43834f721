"""Raw disks as images: what other programs make of ours and we of theirs, and builders that boot from one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Place
from disks import efi_disk
from snowshed.config import Host
from snowshed.images import fat, gpt
from snowshed.model.machine import Arch


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as place:
        yield place


@pytest.fixture
def disk(place: Place) -> Path:
    """A disk that a machine like this one boots."""
    arch = Host.this().arch
    assert arch is not None
    return efi_disk(place.home / "nixos.raw", arch)


def mtools(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mtools_reads_what_we_write(tmp_path: Path) -> None:
    image, content = tmp_path / "esp", bytes(range(256)) * 100
    size, pieces = fat.with_file(("EFI", "BOOT", "BOOTX64.EFI"), content)
    with image.open("wb") as stream:
        stream.truncate(size)
        for offset, piece in pieces:
            stream.seek(offset)
            stream.write(piece)
    mtools("mcopy", "-i", image, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("kind", [["-f", "1440"], ["-T", "65536"], ["-F", "-T", "160000"]], ids=["12", "16", "32"])
def test_we_read_what_mtools_writes(tmp_path: Path, kind: list[str]) -> None:
    image = tmp_path / "esp"
    mtools("mformat", "-C", *kind, "-i", image, "::")
    mtools("mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
    for number in range(40):  # more than a cluster of a folder holds
        mtools("mmd", "-i", image, f"::/EFI/BOOT/Some long name {number}")
    (tmp_path / "loader").write_bytes(b"x")
    mtools("mcopy", "-i", image, tmp_path / "loader", "::/EFI/BOOT/BootAA64.efi")
    with image.open("rb") as stream:

        def read(offset: int, size: int) -> bytes:
            stream.seek(offset)
            return stream.read(size)

        system = fat.Fat(read)
        assert system.holds("EFI", "BOOT", "BOOTAA64.EFI")
        assert not system.holds("EFI", "BOOT", "BOOTX64.EFI")


def test_a_builder_runs_from_its_copy_of_an_imported_disk(place: Place, disk: Path) -> None:
    said = place.ok("image", "import", str(disk))
    assert "imported" in said.err
    name = Path(said.out.strip()).name
    (row,) = (r for r in json.loads(place.ok("image", "list", "--json").out) if r["name"] == name)
    assert (row["boot"], row["origin"]) == ("efi", "nixos.raw")

    place.start("--image", name, "--disk-size", "1G")
    words = place.qemu.journal("start")[-1]["argv"]
    assert "-kernel" not in words
    assert any("pflash0=" in word for word in words)
    assert (place.state / "efi-variables.fd").exists()
    assert gpt.read((place.state / "disk.img").open("rb")).partitions[-1].last == (1 << 30) // 512 - 34
    assert name in place.run("image", "rm", name).err, "it is in use"

    # It stays a builder of this image, and its disk grows with the partition on it.
    place.ok("stop")
    place.ok("start", "--disk-size", "2G", "--memory", "512", "--cores", "1")
    assert gpt.read((place.state / "disk.img").open("rb")).partitions[-1].last == (2 << 30) // 512 - 34
    assert json.loads(place.ok("status", "--json").out)["image"] == name


def test_a_disk_of_another_kind_is_refused_before_anything_starts(place: Place, disk: Path) -> None:
    place.start()
    place.ok("stop")
    name = Path(place.ok("image", "import", str(disk)).out.strip()).name
    done = place.run("start", "--image", name, "--memory", "512", "--cores", "1")
    assert done.status == 2
    assert "is the data disk of a guest that is booted directly" in done.err


def test_a_restart_that_cannot_be_stops_nothing(place: Place, disk: Path) -> None:
    place.start()
    name = Path(place.ok("image", "import", str(disk)).out.strip()).name
    for words in (("--image", name), ("--image", "none")):
        assert place.run("restart", *words).status == 2
        assert json.loads(place.ok("status", "--json").out)["state"] == "running"


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        (b"", [], "is empty"),
        (b"QFI\xfb" + bytes(4096), [], "is not a raw disk image: it is qcow2."),
        (b"KDMV" + bytes(4096), [], "it is vmdk."),
        (bytes(0x8001) + b"CD001" + bytes(4096), [], "is not a disk but an ISO image"),
        (b"#!/bin/sh\n", [], "is not a disk: it has no partitions."),
        (b"x", ["--system", "riscv64-linux"], "is not a system that a builder can have"),
    ],
    ids=["empty", "qcow2", "vmdk", "iso", "script", "system"],
)
def test_what_cannot_be_imported_is_called_by_its_name(
    place: Place, content: bytes, words: list[str], sentence: str
) -> None:
    file = place.home / "file"
    file.write_bytes(content)
    done = place.run("image", "import", str(file), *words)
    assert done.status == 2, done.words
    assert sentence in done.err
    assert "Traceback" not in done.err


def test_a_builder_of_the_other_architecture_is_refused(place: Place, disk: Path) -> None:
    name = Path(place.ok("image", "import", str(disk)).out.strip()).name
    other = next(arch for arch in Arch if arch is not Host.this().arch)
    done = place.run("start", "--image", name, "--system", other.nix_system)
    assert done.status == 2
    assert f"and the builder for {other.nix_system}" in done.err
