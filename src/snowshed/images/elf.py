"""What is read here of ELF files: their sections, and the libraries that a program or a library needs.

Source: the System V ABI, chapters 4 (sections) and 5 (dynamic section), for 64-bit little-endian files.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_DYNAMIC = 6
_NEEDED = 1


class Section(NamedTuple):
    """A section: its type, its content, and the number of the section that it refers to."""

    name: str
    type: int
    data: bytes
    link: int


def is_elf(data: bytes) -> bool:
    """Whether `data` begins as an ELF file for 64 bits, little-endian."""
    return data[:6] == b"\x7fELF\x02\x01"


def sections(elf: bytes) -> list[Section]:
    """The sections of the ELF file `elf`, in their order."""
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQI", elf, table + size * number) for number in range(count)]
    strings = headers[names][4]
    return [
        Section(_text(elf, strings + name), kind, elf[offset : offset + length], link)
        for name, kind, _, _, offset, length, link in headers
    ]


def needed(elf: bytes) -> list[str]:
    """The file names of the libraries that the ELF file `elf` asks for itself; a static program asks for none."""
    found = sections(elf)
    return [
        _text(found[section.link].data, value)
        for section in found
        if section.type == _DYNAMIC
        for tag, value in struct.iter_unpack("<qQ", section.data)
        if tag == _NEEDED
    ]


def closure(tree: Path, programs: Sequence[str]) -> list[str]:
    """`programs`, paths within `tree`, each followed by all the libraries that it needs and none before had.

    A program that the tree does not have is left out, as is a library: what is started will say so.
    """
    libraries = {file.name: file for place in ("usr/lib", "usr/lib/*-linux-gnu*") for file in tree.glob(f"{place}/*")}
    found: dict[Path, None] = {}

    def visit(file: Path) -> None:
        if file in found or not file.is_file():
            return
        found[file] = None
        data = file.read_bytes()
        for library in needed(data) if is_elf(data) else ():
            if library in libraries:
                visit(libraries[library])

    for program in programs:
        visit(tree / program)
    return [file.relative_to(tree).as_posix() for file in found]


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("ascii", "replace")
