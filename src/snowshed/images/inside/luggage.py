"""What is sent into a builder that is to make an image: this package, the order, and how the guest gets Python. Pure,
but for reading our own files."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import msgspec

from ...guest.disk import WORKSHOP
from ...model.machine import Arch
from .. import apt
from .order import Order

PACKAGES = ("python3", "python3-msgspec", "erofs-utils", "kmod")
"""What a guest lacks for making images. kmod's depmod is what a Debian host uses: the same bytes come of it."""

PROVIDED = (
    *("dpkg", "libacl1", "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8", "libgcc-s1", "liblz4-1"),
    *("liblzma5", "libpcre2-8-0", "libselinux1", "libsqlite3-0", "libssl3t64", "libuuid1", "libxxhash0", "libzstd1"),
    *("netbase", "zlib1g"),
    *(
        "libdb5.3t64",
        "libncursesw6",
        "libnsl2",
        "libreadline8t64",
        "libtinfo6",
        "libtirpc3t64",
        "media-types",
        "tzdata",
    ),
)
"""What the guest's own image has of the dependencies of those, and (the last line) what nobody asks Python for here.
The libraries have to be those of one release with the image's libc: they run without a chroot."""

_HERE = Path(__file__).parent
_SOURCE = Path(__file__).parents[2]
_SCRIPTS = ("run", "work")


def pack(order: Order, guest: Arch) -> bytes:
    """The archive for a guest of `guest`'s kind. Equal orders give equal archives."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in _members(order, guest).items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return output.getvalue()


def _members(order: Order, guest: Arch) -> dict[str, bytes]:
    root = f"{WORKSHOP}/apt"
    texts = {
        "mirror": order.mirror,
        "suite": apt.DEFAULT_SUITE,
        "keyrings": " ".join(map(str, apt.KEYRINGS)),
        "packages": " ".join(PACKAGES),
        "apt.conf": apt.config_text(Path(root), guest, ""),
        "status": apt.status_text(PROVIDED, guest),
    }
    scripts = {name: (_HERE / name).read_bytes() for name in _SCRIPTS}
    tools = {**scripts, **{name: text.encode() for name, text in texts.items()}}
    return {
        **tools,
        "key": _key(tools),
        "order.json": msgspec.json.encode(order),
        **{f"src/snowshed/{path.relative_to(_SOURCE)}": path.read_bytes() for path in _sources()},
    }


def _key(tools: dict[str, bytes]) -> bytes:
    """Names the tools that a guest gets: others are fetched where this changes. Not the mirror: all have the same."""
    total = hashlib.sha256()
    for name in sorted(tools.keys() - {"mirror"}):
        total.update(f"{name} {hashlib.sha256(tools[name]).hexdigest()}\n".encode())
    return total.hexdigest().encode()


def _sources() -> list[Path]:
    found = (path for path in _SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path for path in found if not path.name.startswith("."))


def command(size: int) -> str:
    """What the guest's shell is to run: it takes the archive, `size` bytes, from its input, and begins."""
    receive = (_HERE / "receive").read_text()
    return f"place={WORKSHOP} size={size}\n{receive}"
