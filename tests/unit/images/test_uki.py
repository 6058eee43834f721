from __future__ import annotations

import struct

import pytest

from snowshed.errors import GuestError
from snowshed.images import uki


def stub(room: int = 0x400) -> bytes:
    """A program of one section, as a linker makes it: headers of `room` bytes, then 512 bytes of code."""
    head = bytearray(room)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x40)
    struct.pack_into("<4sHHIIIHH", head, 0x40, b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0)
    struct.pack_into("<H", head, 0x58, 0x20B)
    struct.pack_into("<II", head, 0x58 + 32, 0x1000, 0x200)
    struct.pack_into("<8sIIII", head, 0x58 + 240, b".text", 500, 0x1000, 512, room)
    return bytes(head) + b"\xcc" * 512


def sections(program: bytes) -> dict[str, tuple[int, bytes]]:
    """Each section's address and content."""
    (count,) = struct.unpack_from("<H", program, 0x46)
    found = {}
    for number in range(count):
        name, size, address, _, place = struct.unpack_from("<8sIIII", program, 0x58 + 240 + 40 * number)
        found[name.rstrip(b"\0").decode()] = address, program[place : place + size]
    return found


def test_all_parts_are_sections_of_the_stub() -> None:
    program = uki.unified(stub(), b"kernel" * 2000, b"initrd", "quiet ro", "6.12")
    found = sections(program)
    assert list(found) == [".text", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"]
    assert found[".linux"][1] == b"kernel" * 2000
    assert found[".initrd"][1] == b"initrd"
    assert found[".cmdline"][1] == b"quiet ro\0"
    assert found[".uname"][1] == b"6.12"


def test_sections_are_aligned_and_do_not_overlap() -> None:
    found = sections(uki.unified(stub(), b"k" * 0x1001, b"i" * 0x2000, "", ""))
    ends = 0
    for address, data in found.values():
        assert address % 0x1000 == 0
        assert address >= ends
        ends = address + len(data)
    (size,) = struct.unpack_from("<I", uki.unified(stub(), b"k" * 0x1001, b"i" * 0x2000, "", ""), 0x58 + 56)
    assert size >= ends


@pytest.mark.parametrize("program", [b"", b"MZ" + bytes(0x400), b"\x7fELF" + bytes(0x400)])
def test_what_is_no_stub(program: bytes) -> None:
    with pytest.raises(GuestError, match="not as expected"):
        uki.unified(program, b"", b"", "", "")


def test_a_stub_without_room_for_headers() -> None:
    with pytest.raises(GuestError, match="no room"):
        uki.unified(stub(room=0x200), b"", b"", "", "")
