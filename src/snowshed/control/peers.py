"""Who is at the other end of a control socket, and whether they may do more than ask.

Linux: ``SO_PEERCRED`` (unix(7)). macOS: ``LOCAL_PEERCRED``, option 1 at level 0, which fills a ``struct xucred`` from
``sys/ucred.h``: version, user, number of groups, groups.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
import sys

from ..errors import UserError

ADMINS = ("sudo", "wheel", "admin")
"""Groups whose members may become root anyway, on Debian, elsewhere on Linux and the BSDs, and on macOS."""

_XUCRED = "=IIh2x16I"


def user_of(connection: socket.socket) -> int | None:
    """The user id at the other end of a unix socket, None where the system does not tell."""
    try:
        if sys.platform == "darwin":
            data = connection.getsockopt(0, 1, struct.calcsize(_XUCRED))
            return int(struct.unpack_from("=II", data)[1])
        return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
    except (OSError, AttributeError, struct.error):
        return None


def may_command(user: int | None, own: int, groups: frozenset[str]) -> bool:
    """Whether `user`, who is in `groups`, may command a supervisor that runs as `own`."""
    return user in (0, own) or not groups.isdisjoint(ADMINS)


def groups_of(user: int | None) -> frozenset[str]:
    """The names of the groups that a user is in."""
    if user is None:
        return frozenset()
    try:
        about = pwd.getpwuid(user)
    except KeyError:
        return frozenset()
    names = set()
    for number in os.getgrouplist(about.pw_name, about.pw_gid):
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)


def require_right(connection: socket.socket) -> None:
    """Raise `UserError` unless the other end may command us."""
    user = user_of(connection)
    if not may_command(user, os.getuid(), frozenset()) and not may_command(user, os.getuid(), groups_of(user)):
        raise UserError("This builder belongs to the system: only root and administrators may do that.", "Use sudo.")
