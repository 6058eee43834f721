"""Directories of the host in the guest: one virtiofsd for each.

There are two programs of that name: the C one of QEMU 5 to 7, and the Rust one that replaced it. Each runs in a mount
namespace of its own, over a bind mount of the shared directory, because the C one knows no read-only mode and the
guest's own ``ro`` binds nobody; an ordinary user needs a user namespace for that. File systems that are mounted below
a shared directory are not part of the share.

A daemon serves one connection and ends with it, so it ends with QEMU whatever happens to us.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...child import Child
from ...errors import SnowshedError
from ...model.machine import Share
from ...process import find, run

_FOLDERS = ("/usr/libexec", "/usr/lib/qemu", "/usr/lib", "/usr/lib/virtiofsd")
_HELP_SECONDS = 10.0

SAVES_SHARES = (8, 2, 0)
"""The first QEMU whose vhost-user-fs-pci takes part in a migration."""
_MIGRATION = ["--migration-mode=find-paths", "--migration-verify-handles", "--migration-on-error=guest-error"]
"""A file that was replaced or removed while the VM slept is an error to the guest that had it open, and to no other."""

_SHARED = "/run/share"
_ENTER = f"""
set -e
cd -- "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/virtiofsd {_SHARED}
mount --no-canonicalize --bind . {_SHARED}
[ "$2" = rw ] || mount -o remount,bind,ro {_SHARED}
cd /
shift 2
exec setpriv --pdeathsig KILL -- "$@"
"""
"""Run in the new namespace with the directory, ``ro`` or ``rw``, and virtiofsd's command line. ``/run`` is hidden
because the C program locks a file there. An end with our own is asked for again: entering a user namespace undoes it.
"""


@dataclass(frozen=True)
class Flavour:
    """Which virtiofsd it is: the Rust one's command line, whether that has ``--readonly``, and whether it can hand
    over what it knows of the guest's files to another when the VM is saved (from 1.11 on)."""

    rust: bool
    read_only: bool = False
    migrates: bool = False


@dataclass(frozen=True)
class Served:
    """A share that is served: by whom, and the socket that QEMU is to have."""

    share: Share
    daemon: Child
    peer: socket.socket


def find_virtiofsd() -> str:
    """The path of virtiofsd. Raises `UserError` with how to install it."""
    return find(
        "virtiofsd",
        "Install it: `apt install virtiofsd` on Debian and Ubuntu (with QEMU 7 it is part of qemu-system-common).",
        folders=_FOLDERS,
    )


def flavour(help_text: str) -> Flavour:
    """What kind of virtiofsd describes itself so."""
    return Flavour("--shared-dir" in help_text, "--readonly" in help_text, "--migration-verify-handles" in help_text)


def arguments(program: str, kind: Flavour, *, listener: int, open_files: int, read_only: bool) -> list[str]:
    """The command line of virtiofsd for the directory bound to its place, serving the listening socket `listener`.

    `open_files` is the limit that it may have: it keeps a descriptor for every file that the guest knows.
    """
    if not kind.rust:
        options = ["-o", f"source={_SHARED},cache=auto,no_xattr,sandbox=namespace,log_level=warn"]
        return [program, f"--fd={listener}", "-f", f"--rlimit-nofile={open_files}", *options]
    words = [program, f"--fd={listener}", f"--shared-dir={_SHARED}", "--cache=auto", "--sandbox=namespace"]
    words += [f"--rlimit-nofile={open_files}", "--log-level=error"]
    words += _MIGRATION if kind.migrates else []
    return [*words, *(["--readonly"] if read_only and kind.read_only else [])]


def suspend_blocker(shares: Sequence[Share], qemu: tuple[int, int, int]) -> str:
    """Why a VM with `shares` cannot be saved on this host; empty where it can. Asks virtiofsd for its options."""
    if not shares:
        return ""
    tags = ", ".join(share.tag for share in shares)
    if qemu < SAVES_SHARES:
        return f"QEMU {qemu[0]}.{qemu[1]} cannot save a VM with shared directories ({tags}); 8.2 and later can"
    try:
        able = _flavour_of(find_virtiofsd()).migrates
    except SnowshedError as error:
        return error.message.rstrip(".")
    return "" if able else f"this virtiofsd cannot save its shared directories ({tags}); 1.11 and later can"


def wrapped(words: list[str], share: Share, *, privileged: bool) -> list[str]:
    """`words` in a mount namespace of their own that has `share` in its place."""
    user = [] if privileged else ["--user", "--map-root-user"]
    mode = "ro" if share.read_only else "rw"
    return [
        "unshare",
        *user,
        "--mount",
        "--propagation=private",
        "sh",
        "-c",
        _ENTER,
        "sh",
        str(share.path),
        mode,
        *words,
    ]


async def serve(shares: Iterable[Share], runtime: Path, output: int, undo: AsyncExitStack) -> list[Served]:
    """Start a daemon for each of `shares`; `undo` ends them and closes QEMU's sockets.

    `runtime` is a private directory with a short path, `output` takes what the daemons say. Raises `UserError` or
    `GuestError`.
    """
    return [await _serve(share, runtime, output, undo) for share in shares]


async def _serve(share: Share, runtime: Path, output: int, undo: AsyncExitStack) -> Served:
    program = find_virtiofsd()
    kind = await asyncio.to_thread(_flavour_of, program)
    listener, peer = _connected_pair(runtime / f"share-{os.getpid()}.sock")
    undo.callback(peer.close)
    with listener:
        words = arguments(
            program,
            kind,
            listener=listener.fileno(),
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            read_only=share.read_only,
        )
        argv = wrapped(words, share, privileged=os.geteuid() == 0)
        daemon = await Child.start(argv, output=output, keep=[listener.fileno()])
    undo.push_async_callback(daemon.end)
    return Served(share, daemon, peer)


def _connected_pair(path: Path) -> tuple[socket.socket, socket.socket]:
    """A listening socket with one connection waiting, and that connection's other end. `path` is gone again."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    try:
        listener.bind(str(path))
        listener.listen(1)
        peer.connect(str(path))
    except BaseException:
        listener.close()
        peer.close()
        raise
    finally:
        path.unlink(missing_ok=True)
    return listener, peer


def _flavour_of(program: str) -> Flavour:
    return _ask(program, Path(program).stat().st_mtime_ns)


@lru_cache
def _ask(program: str, _modified: int) -> Flavour:
    return flavour(run([program, "--help"], timeout=_HELP_SECONDS))
