"""The smallest ELF files: a header, some sections, and nothing that could run."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A section: its `link` is the number of another, `entry` the size of what it is a table of."""

    name: str
    type: int
    data: bytes
    flags: int = 0
    link: int = 0
    info: int = 0
    entry: int = 0


def elf_file(kind: int, *sections: Section) -> bytes:
    """An ELF file of `kind` (1: an object, 3: a library) for x86-64. `sections` count from 1; their names come last."""
    names = b"\0" + b"".join(f"{section.name}\0".encode() for section in sections) + b".shstrtab\0"
    everything = [*sections, Section(".shstrtab", 3, names)]
    body, table = b"", bytes(64)
    for section in everything:
        name = names.index(f"\0{section.name}\0".encode()) + 1
        place = (section.flags, 0, 64 + len(body), len(section.data))
        more = (section.link, section.info, 1, section.entry)
        table += struct.pack("<IIQQQQIIQQ", name, section.type, *place, *more)
        body += section.data
    count = len(everything) + 1
    start = 64 + len(body)
    fields = (kind, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, count, count - 1)
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", *fields) + body + table
