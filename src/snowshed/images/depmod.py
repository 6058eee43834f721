"""What depmod(8) makes of a folder of kernel modules, for hosts that have no depmod: macOS.

Which modules a module needs is written in it (``depends=`` in the ELF section ``.modinfo``), as are the names that it
answers to (``alias=``) and the modules it likes to have first (``softdep=``). ``modules.dep``, ``modules.alias`` and
the kernel package's own ``modules.builtin`` also get the index that kmod's ``modprobe`` reads (libkmod-index.c: a
trie, big-endian, children before their parents).
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import GuestError
from . import elf
from .initrd import module_name

_MAGIC = 0xB007F457
_VERSION = 0x00020001
_PREFIX = 0x80000000
_VALUES = 0x40000000
_CHILDREN = 0x20000000
_SUFFIXES = (".ko", ".ko.xz")


def modinfo(module: bytes) -> list[tuple[str, str]]:
    """The entries ``key=value`` of a 64-bit little-endian ELF object's ``.modinfo``, in their order."""
    if not elf.is_elf(module):
        raise GuestError("A kernel module is no ELF file for 64 bits.", "Use another --suite; trixie is known to fit.")
    entries = b"".join(section.data for section in elf.sections(module) if section.name == ".modinfo").split(b"\0")
    return [(k, v) for k, _, v in (entry.decode(errors="replace").partition("=") for entry in entries) if k]


def dependencies(direct: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Everything that each module needs, the nearest first, from what each needs directly."""

    def needs(name: str, seen: list[str]) -> list[str]:
        for need in direct.get(name, ()):
            if need in direct and need not in seen:
                seen.append(need)
                needs(need, seen)
        return seen

    return {name: needs(name, []) for name in direct}


@dataclass
class _Node:
    """A node of the trie: what its keys have in common from here on, where they part, and the values that end here."""

    prefix: bytes = b""
    values: list[tuple[int, bytes]] = field(default_factory=list)
    children: dict[int, _Node] = field(default_factory=dict)


def index(entries: Iterable[tuple[str, int, str]]) -> bytes:
    """kmod's index of `entries`: a key, its priority and its value each."""
    root = _Node()
    for key, priority, value in entries:
        _insert(root, key.encode(), (priority, value.encode()))
    body = bytearray(struct.pack(">III", _MAGIC, _VERSION, 0))
    struct.pack_into(">I", body, 8, _write(root, body))
    return bytes(body)


def _insert(node: _Node, key: bytes, value: tuple[int, bytes]) -> None:
    common = 0
    while common < min(len(node.prefix), len(key)) and node.prefix[common] == key[common]:
        common += 1
    if common < len(node.prefix):
        rest = _Node(node.prefix[common + 1 :], node.values, node.children)
        branch = node.prefix[common]
        node.prefix, node.values, node.children = node.prefix[:common], [], {branch: rest}
    if common == len(key):
        node.values.append(value)
        node.values.sort(key=lambda entry: entry[0])
        return
    child = node.children.get(key[common])
    if child is None:
        node.children[key[common]] = _Node(key[common + 1 :], [value])
    else:
        _insert(child, key[common + 1 :], value)


def _write(node: _Node, body: bytearray) -> int:
    """Append `node` after its children, and return its place with what it has in the upper bits."""
    places = {byte: _write(child, body) for byte, child in sorted(node.children.items())}
    place = len(body)
    if node.prefix:
        body += node.prefix + b"\0"
        place |= _PREFIX
    if places:
        first, last = min(places), max(places)
        body += bytes([first, last])
        for byte in range(first, last + 1):
            body += struct.pack(">I", places.get(byte, 0))
        place |= _CHILDREN
    if node.values:
        body += struct.pack(">I", len(node.values))
        for priority, value in node.values:
            body += struct.pack(">I", priority) + value + b"\0"
        place |= _VALUES
    return place


def depmod(folder: Path) -> None:
    """Write what modprobe reads about the modules under `folder`, which is ``…/lib/modules/<release>``."""
    order = _order(folder / "modules.order")
    files = {module_name(path): path for path in _modules(folder)}
    ranked = sorted(files, key=lambda name: (order.get(name, len(order)), files[name]))
    info = {name: modinfo(_read(folder / files[name])) for name in ranked}
    _write_dependencies(folder, files, info)
    _write_aliases(folder, info)
    softdeps = [f"softdep {name} {value}\n" for name, entries in info.items() for k, value in entries if k == "softdep"]
    (folder / "modules.softdep").write_text(
        "# Soft dependencies extracted from modules themselves.\n" + "".join(softdeps)
    )
    builtin = _order(folder / "modules.builtin")
    (folder / "modules.builtin.bin").write_bytes(index((name, 0, "") for name in builtin))


Info = Mapping[str, Sequence[tuple[str, str]]]


def _write_dependencies(folder: Path, files: Mapping[str, str], info: Info) -> None:
    direct = {
        name: [
            need.replace("-", "_") for key, value in entries if key == "depends" for need in value.split(",") if need
        ]
        for name, entries in info.items()
    }
    everything = dependencies(direct).items()
    lines = {name: f"{files[name]}:{''.join(f' {files[need]}' for need in needs)}" for name, needs in everything}
    (folder / "modules.dep").write_text("".join(f"{line}\n" for line in lines.values()))
    ranked = enumerate(lines.items())
    (folder / "modules.dep.bin").write_bytes(index((name, rank, line) for rank, (name, line) in ranked))


def _write_aliases(folder: Path, info: Info) -> None:
    aliases = [
        (value, rank, name)
        for rank, (name, entries) in enumerate(info.items())
        for key, value in entries
        if key == "alias"
    ]
    text = "".join(f"alias {alias} {name}\n" for alias, _, name in aliases)
    (folder / "modules.alias").write_text(f"# Aliases extracted from modules themselves.\n{text}")
    entries = ((underscored(alias), rank, name) for alias, rank, name in aliases)
    (folder / "modules.alias.bin").write_bytes(index(entries))


def underscored(alias: str) -> str:
    """`alias` as modprobe looks it up: dashes are underscores, except between brackets."""
    inside = False
    text = []
    for letter in alias:
        inside = letter == "[" or (inside and letter != "]")
        text.append("_" if letter == "-" and not inside else letter)
    return "".join(text)


def _modules(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.name.endswith(_SUFFIXES) and path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _order(file: Path) -> dict[str, int]:
    """The modules that `file` lists, in the order in which the kernel's build linked them: which is taken first."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {module_name(line): number for number, line in enumerate(lines)}


def _read(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
