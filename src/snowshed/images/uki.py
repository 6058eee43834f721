"""A unified kernel image: kernel, initrd and command line in one program that firmware starts.

It is systemd's stub (``linux*.efi.stub``, systemd-stub(7)) with our parts as further sections, which the stub knows by
name. Format: Microsoft's "PE Format" (COFF header, optional header PE32+, section table).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ..errors import GuestError

_SECTION = struct.Struct("<8sIIIIIIHHI")
_READABLE_DATA = 0x40000040
_PE32_PLUS = 0x20B


def unified(stub: bytes, kernel: bytes, initrd: bytes, cmdline: str, release: str) -> bytes:
    """`stub` with everything in it. Raises `GuestError` for a stub that is not as expected."""
    about = f'ID=snowshed\nNAME=snowshed\nPRETTY_NAME="snowshed guest"\nVERSION_ID="{release}"\n'
    parts = {
        ".osrel": about.encode(),
        ".cmdline": cmdline.encode() + b"\0",
        ".uname": release.encode(),
        ".initrd": initrd,
        ".linux": kernel,  # the last one: a kernel may want room behind it
    }
    return with_sections(stub, parts)


def with_sections(program: bytes, parts: Mapping[str, bytes]) -> bytes:
    """The PE `program` with `parts` as further sections, in their order. Raises `GuestError`."""
    head = _offset(program)
    (count,) = struct.unpack_from("<H", program, head + 6)
    (optional_size,) = struct.unpack_from("<H", program, head + 20)
    optional = head + 24
    section_alignment, file_alignment = struct.unpack_from("<II", program, optional + 32)
    table = optional + optional_size
    sections = [_SECTION.unpack_from(program, table + n * _SECTION.size) for n in range(count)]
    room = min(raw for *_, raw in ((s[3], s[4]) for s in sections if s[3])) - (table + count * _SECTION.size)
    if room < len(parts) * _SECTION.size:
        raise GuestError("systemd's EFI stub has no room for a kernel.", "Use another --suite; trixie is known to fit.")
    out = bytearray(program)
    address = _up(max(s[2] + s[1] for s in sections), section_alignment)
    for number, (name, data) in enumerate(parts.items(), start=count):
        out += bytes(_up(len(out), file_alignment) - len(out))
        size = _up(len(data), file_alignment)
        fields = (name.encode(), len(data), address, size, len(out), 0, 0, 0, 0, _READABLE_DATA)
        _SECTION.pack_into(out, table + number * _SECTION.size, *fields)
        out += data.ljust(size, b"\0")
        address = _up(address + len(data), section_alignment)
    struct.pack_into("<H", out, head + 6, count + len(parts))
    struct.pack_into("<I", out, optional + 56, address)  # SizeOfImage
    struct.pack_into("<I", out, optional + 64, 0)  # CheckSum: firmware looks at none
    return bytes(out)


def _offset(program: bytes) -> int:
    """Where the PE header is."""
    if program[:2] == b"MZ":
        (head,) = struct.unpack_from("<I", program, 0x3C)
        magic = program[head + 24 : head + 26]
        if program[head : head + 4] == b"PE\0\0" and magic == struct.pack("<H", _PE32_PLUS):
            return int(head)
    raise GuestError("systemd's EFI stub is not as expected.", "Use another --suite; trixie is known to fit.")


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
