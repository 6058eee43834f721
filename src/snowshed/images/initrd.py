"""The initrd: a cpio archive with a static busybox, one script and the few kernel modules that a root disk needs.

The archive is in the format that the kernel calls ``newc`` (Documentation/driver-api/early-userspace/buffer-format.rst
in the kernel's source), uncompressed: it is small, and unpacking costs nothing then.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ..errors import GuestError

_SIGNED = b"~Module signature appended~\n"
FOLDER = 0o40755
PROGRAM = 0o100755
FILE = 0o100644
LINK = 0o120777


Dependencies = Mapping[str, tuple[str, tuple[str, ...]]]
"""Each module's file, under the folder of modules, and the modules that it needs, the nearest first."""


class Entry(msgspec.Struct, frozen=True):
    """A file of the archive: `mode` with its type bits, `data` its content or where a link points."""

    name: str
    mode: int
    data: bytes = b""


def archive(entries: Iterable[Entry]) -> bytes:
    """A ``newc`` cpio archive of `entries`, every time stamp zero and every owner root."""
    parts = []
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        links = 2 if entry.mode == FOLDER else 1
        fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        parts += [_padded(header + name), _padded(entry.data)]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def module_name(path: str) -> str:
    """The kernel's name for the module in the file `path`: ``kernel/fs/nls/nls_utf8.ko.xz`` is ``nls_utf8``."""
    return Path(path).name.split(".", 1)[0].replace("-", "_")


def parse_dependencies(modules_dep: str) -> Dependencies:
    """Each module's file and the modules that it needs, by name, from the text of depmod's ``modules.dep``."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for line in modules_dep.splitlines():
        path, _, needs = line.partition(":")
        found[module_name(path)] = (path, tuple(module_name(need) for need in needs.split()))
    return found


def closure(wanted: Sequence[str], dependencies: Dependencies, builtin: Iterable[str]) -> tuple[str, ...]:
    """The modules to load for `wanted`, each after what it needs; `builtin` ones are part of the kernel already.

    Raises `GuestError` for a module that the kernel package has neither way.
    """
    order: list[str] = []
    inside = set(builtin)

    def visit(name: str) -> None:
        if name in order or name in inside:
            return
        if name not in dependencies:
            raise GuestError(
                f"The kernel package has no module {name}.", "Use another --suite; trixie is known to fit."
            )
        for need in dependencies[name][1]:
            visit(need)
        order.append(name)

    for name in wanted:
        visit(name)
    return tuple(order)


def read_module(path: Path) -> bytes:
    """The module in `path`, unpacked where it is compressed with xz, and without its signature."""
    return unsigned(lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes())


def unsigned(module: bytes) -> bytes:
    """`module` without the signature behind it: the kernel looks at one for 20 ms where it is emulated, and takes
    modules without one as well. What an image holds is known by its hash.

    Source: ``kernel/module/signing.c`` and ``include/linux/module_signature.h`` in the kernel's source: the signature,
    12 bytes whose last four are its length, the mark.
    """
    if not module.endswith(_SIGNED):
        return module
    end = len(module) - len(_SIGNED)
    (length,) = struct.unpack(">I", module[end - 4 : end])
    return module[: end - 12 - length]


def entries(
    init: bytes,
    busybox: bytes,
    release: str,
    modules: Mapping[str, bytes],
    needs: Mapping[str, Sequence[str]],
    ahead: Sequence[str],
) -> list[Entry]:
    """The initrd's content: `modules` by name in the order of loading, `needs` what each depends on directly, `ahead`
    the root disk's files that are read before anybody asks for them."""
    folder = f"lib/modules/{release}"
    dep = "".join(f"{name}.ko:{''.join(f' {need}.ko' for need in needs[name])}\n" for name in modules)
    names = ["bin", "dev", "root", "sys", "lib", "lib/modules", folder]
    return [
        *(Entry(name, FOLDER) for name in names),
        Entry("init", PROGRAM, init),
        Entry("bin/busybox", PROGRAM, busybox),
        Entry("modules", FILE, (" ".join(modules) + "\n").encode()),
        Entry("ahead", FILE, (" ".join(ahead) + "\n").encode()),
        Entry(f"{folder}/modules.dep", FILE, dep.encode()),
        *(Entry(f"{folder}/{name}.ko", FILE, data) for name, data in modules.items()),
    ]
