from __future__ import annotations

import io
import os
from pathlib import Path
from uuid import UUID

import pytest

from disks import efi_disk, partition
from snowshed.images import gpt
from snowshed.model.machine import Arch
from snowshed.units import MIB

DISK = UUID(int=1)
SECTORS = 64 * MIB // 512


def read(first: bytes) -> gpt.Table:
    return gpt.read(io.BytesIO(first))


def test_a_table_is_read_as_it_was_written() -> None:
    table = gpt.new(DISK, [partition(2, 2048, 4095, gpt.ESP, "esp"), partition(3, 4096, 8191, name="root ü")], SECTORS)
    first, second = gpt.encode(table, SECTORS)
    assert (len(first), len(second)) == (34 * 512, 33 * 512)
    found = read(first)
    assert (found.id, found.partitions, found.backup) == (DISK, table.partitions, SECTORS - 1)
    assert first[510:512] == b"\x55\xaa"
    assert first[450] == 0xEE, "whoever knows no GPT sees a full disk"


def test_the_second_copy_has_the_same_entries() -> None:
    first, second = gpt.encode(gpt.new(DISK, [partition(2, 2048, 4095)], SECTORS), SECTORS)
    assert first[2 * 512 :] == second[: 32 * 512]
    assert second[-512 : -512 + 8] == gpt.MAGIC


@pytest.mark.parametrize("place", [512, 512 + 16, 512 + 40, 1024, 34 * 512 - 1])
def test_damage_anywhere_is_noticed(place: int) -> None:
    data = bytearray(gpt.encode(gpt.new(DISK, [partition(2, 2048, 4095)], SECTORS), SECTORS)[0])
    data[place] ^= 1
    with pytest.raises(gpt.GptError):
        read(bytes(data))


@pytest.mark.parametrize("data", [b"", bytes(512), bytes(4096)])
def test_what_has_no_table(data: bytes) -> None:
    with pytest.raises(gpt.GptError, match="it has no GPT"):
        read(data)


def test_the_last_partition_on_the_disk_grows_and_no_other() -> None:
    last, first = partition(2, 4096, 8191), partition(3, 2048, 4095)
    after = gpt.grown(gpt.new(DISK, [last, first], SECTORS), 2 * SECTORS)
    assert [(p.id, p.first, p.last) for p in after.partitions] == [
        (last.id, 4096, 2 * SECTORS - 34),
        (first.id, 2048, 4095),
    ]


def test_the_firmwares_partition_does_not_grow() -> None:
    table = gpt.new(DISK, [partition(2, 2048, 4095, gpt.ESP)], SECTORS)
    assert gpt.grown(table, 2 * SECTORS).partitions == table.partitions


def test_a_disk_image_grows(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64, more=b"precious")
    before = gpt.read(disk.open("rb"))
    old_end = disk.stat().st_size
    os.truncate(disk, old_end + 64 * MIB)
    assert gpt.grow(disk)
    after = gpt.read(disk.open("rb"))
    assert after.partitions[0] == before.partitions[0]
    assert after.partitions[1].last == (old_end + 64 * MIB) // 512 - 34
    with disk.open("rb") as stream:
        stream.seek(after.partitions[1].first * 512)
        assert stream.read(8) == b"precious"
        stream.seek(old_end - 33 * 512)
        assert stream.read(33 * 512) == bytes(33 * 512), "the former copy lies in the partition now"
        stream.seek(-512, os.SEEK_END)
        assert stream.read(8) == gpt.MAGIC
    assert not gpt.grow(disk), "there is nothing more to do"


def test_a_disk_without_a_table_is_left_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"ext4 perhaps" + bytes(MIB))
    assert not gpt.grow(disk)
    assert disk.read_bytes() == b"ext4 perhaps" + bytes(MIB)
