"""Listening sockets that somebody else made: systemd, launchd, or any parent that speaks systemd's protocol.

Such a socket outlives us: we stop accepting when we end, and never close it for the others or unlink its path.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import MutableMapping

from ..errors import UserError
from ..network.ports import port_owner

FIRST_DESCRIPTOR = 3
"""sd_listen_fds(3): passed descriptors begin here."""


def systemd_sockets(environment: MutableMapping[str, str], pid: int) -> dict[str, list[int]]:
    """The descriptors that ``LISTEN_PID``, ``LISTEN_FDS`` and ``LISTEN_FDNAMES`` name, by name.

    The variables are taken out of `environment`, so that no child believes they are for it. Descriptors without a
    name are called ``unknown``, as sd_listen_fds_with_names(3) does.
    """
    owner = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "")
    if owner != str(pid) or not count.isdigit():
        return {}
    labels = names.split(":") if names else []
    found: dict[str, list[int]] = {}
    for index in range(int(count)):
        label = labels[index] if index < len(labels) else "unknown"
        found.setdefault(label, []).append(FIRST_DESCRIPTOR + index)
    return found


def activated(name: str) -> list[socket.socket]:
    """The listening sockets that were made for us under `name`; all unnamed ones count as well. Empty: none."""
    passed = systemd_sockets(os.environ, os.getpid())
    descriptors = passed.get(name, []) + passed.get("unknown", [])
    if not passed and sys.platform == "darwin":
        from ..service.launchd_socket import activate

        descriptors = activate(name)
    return [_adopt(descriptor) for descriptor in descriptors]


def _adopt(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted


def bind(port: int, setting: str = "--port") -> socket.socket:
    """A listening socket of our own on the host's loopback. Raises `UserError` naming who has the port, and the
    `setting` that says otherwise."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        who = port_owner(port)
        raise UserError(
            f"Port {port} on 127.0.0.1 cannot be used: {who or error.strerror}.",
            f"Give another one with {setting}, or stop the program that has it.",
        ) from error
    listener.setblocking(False)
    return listener
