"""What is no disk that firmware boots is said by name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from disks import efi_disk
from snowshed.errors import UserError
from snowshed.images import gpt, raw
from snowshed.model.machine import Arch
from snowshed.units import MIB


def said(file: Path) -> str:
    with pytest.raises(UserError) as caught:
        raw.inspect(file)
    return str(caught.value)


@pytest.mark.parametrize("archs", [(Arch.X86_64,), (Arch.AARCH64,), (Arch.X86_64, Arch.AARCH64)])
def test_a_disk_that_boots(tmp_path: Path, archs: tuple[Arch, ...]) -> None:
    disk = efi_disk(tmp_path / "disk.img", *archs)
    assert raw.inspect(disk) == raw.Facts(archs, disk.stat().st_size)


def test_a_disk_that_boots_by_the_older_table(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64)
    esp = gpt.read(disk.open("rb")).partitions[0]
    with disk.open("r+b") as stream:
        entry = struct.pack("<B3xB3xII", 0x80, 0xEF, esp.first, esp.last - esp.first + 1)
        stream.write((bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + bytes(512))
    assert raw.inspect(disk).archs == (Arch.X86_64,)


@pytest.mark.parametrize(
    ("head", "name", "hint"),
    [
        (b"QFI\xfb\0\0\0\3", "it is qcow2", "qemu-img convert -O raw"),
        (b"KDMV", "it is vmdk", "qemu-img"),
        (b"# Disk DescriptorFile\nversion=1\n", "it is vmdk", "qemu-img"),
        (b"vhdxfile", "it is vhdx", "qemu-img"),
        (b"conectix", "it is vhd", "qemu-img"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe", "it is vdi", "qemu-img"),
        (bytes(0x8001) + b"CD001", "an ISO image", "installed system"),
        (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "unzstd"),
        (b"\xfd7zXZ\0", "compressed (xz)", "unxz"),
        (b"\x1f\x8b", "compressed (gzip)", "gunzip"),
        (b"\x7fELF", "not a disk: it has no partitions", "whole disk"),
        (bytes(3) + b"mkfs.fat".ljust(51, b"\0") + b"FAT16   ", "it has no partitions", "whole disk"),
    ],
)
def test_what_is_something_else(tmp_path: Path, head: bytes, name: str, hint: str) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(head.ljust(510 if len(head) < 510 else 0, b"\0") + b"\x55\xaa" + bytes(MIB))
    assert name in said(file)
    assert hint in said(file)


def test_a_kernel_is_no_disk(tmp_path: Path) -> None:
    file = tmp_path / "bzImage"
    file.write_bytes(b"\xff" * 510 + b"\x55\xaa" + b"HdrS" + bytes(MIB))
    assert "not a disk" in said(file)


def test_an_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.touch()
    assert "is empty" in said(file)


def test_no_file_at_all(tmp_path: Path) -> None:
    assert "is not a file" in said(tmp_path / "none")
    assert "is not a file" in said(tmp_path)


def test_a_disk_without_a_partition_for_firmware(tmp_path: Path) -> None:
    assert "no EFI system partition" in said(efi_disk(tmp_path / "disk.img", Arch.X86_64, kind=gpt.LINUX))


def test_a_partition_without_a_boot_loader(tmp_path: Path) -> None:
    text = said(efi_disk(tmp_path / "disk.img", Arch.X86_64, loader="GRUBX64.EFI"))
    assert "holds no boot loader: neither EFI/BOOT/BOOTX64.EFI nor EFI/BOOT/BOOTAA64.EFI" in text


def test_a_disk_that_is_cut_off(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64)
    os.truncate(disk, 100 * MIB)
    assert "is cut off" in said(disk)


def test_a_damaged_table(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64)
    with disk.open("r+b") as stream:
        stream.seek(1024)
        stream.write(b"x")
    assert "its GPT is damaged" in said(disk)


def test_a_disk_of_large_sectors(tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(bytes(4096) + gpt.MAGIC + bytes(MIB))
    assert "sectors of 4096 bytes" in said(file)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in said(tmp_path / ("x" * 300))
