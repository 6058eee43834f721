"""Who listens on a port of the host's loopback, and which ports are free."""

from __future__ import annotations

import socket
from pathlib import Path


def port_owner(port: int) -> str:
    """Who listens on `port` of the loopback, for people; empty where the kernel does not tell (only Linux does)."""
    inode = _listening_inode(port)
    if inode is None:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if _has_socket(process, inode):
            return f"{_name_of(process)} (process {process.name}) listens there"
    return "another user's program listens there"


def _listening_inode(port: int) -> str | None:
    """The inode of the socket in ``/proc/net/tcp`` that listens (state 0A) on `port`; see proc(5)."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()][1:]
    except OSError:
        return None
    wanted = f":{port:04X}"
    return next((row[9] for row in rows if row[3] == "0A" and row[1].endswith(wanted)), None)


def _has_socket(process: Path, inode: str) -> bool:
    try:
        return any(str(fd.readlink()) == f"socket:[{inode}]" for fd in (process / "fd").iterdir())
    except OSError:
        return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program"


def is_free(port: int) -> bool:
    """Whether `port` of the loopback can be listened on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
