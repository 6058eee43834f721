from __future__ import annotations

import pytest

from snowshed.images import fat


def volume(data: bytes, *path: str) -> bytearray:
    size, pieces = fat.with_file(path, data)
    whole = bytearray(size)
    for offset, piece in pieces:
        whole[offset : offset + len(piece)] = piece
    return whole


def reading(whole: bytes | bytearray) -> fat.Fat:
    return fat.Fat(lambda offset, size: bytes(whole[offset : offset + size]))


@pytest.mark.parametrize("size", [0, 1, fat.CLUSTER, fat.CLUSTER + 1])
def test_the_file_is_found_and_nothing_else(size: int) -> None:
    system = reading(volume(bytes(size), "EFI", "BOOT", "BOOTX64.EFI"))
    assert system.holds("EFI", "BOOT", "BOOTX64.EFI")
    assert system.holds("efi", "boot", "bootx64.efi"), "FAT knows no case"
    assert not system.holds("EFI", "BOOT", "BOOTAA64.EFI")
    assert not system.holds("EFI", "BOOT"), "a folder is no file"
    assert not system.holds("EFI", "BOOTX64.EFI")


def test_the_content_lies_in_one_piece() -> None:
    data = bytes(range(256)) * 100
    whole = volume(data, "FILE.BIN")
    assert whole.count(data) == 1


@pytest.mark.parametrize("data", [b"", bytes(512), bytes(510) + b"\x55\xaa"])
def test_what_is_no_fat(data: bytes) -> None:
    with pytest.raises(fat.FatError):
        reading(data)


def test_a_table_that_leads_in_a_circle_ends() -> None:
    whole = volume(b"", "EFI", "BOOT", "BOOTX64.EFI")
    table = fat.RESERVED * fat.SECTOR
    root = whole.index(b"SNOWSHED   \x08")
    whole[table + 8 : table + 12] = (2).to_bytes(4, "little")  # the root's next cluster is the root
    whole[root : root + fat.CLUSTER] = b"OTHER   BIN\x20".ljust(32, b"\0") * (fat.CLUSTER // 32)
    assert not reading(whole).holds("EFI", "BOOT", "BOOTX64.EFI")
