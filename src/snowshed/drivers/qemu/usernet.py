"""What QEMU says of its user-mode network. Pure.

QMP has no such command; the text is that of ``info usernet`` (libslirp, ``slirp_connection_info``)::

    Hub -1 (net):
      Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
      TCP[HOST_FORWARD]  12       127.0.0.1 41507       10.0.2.15    22     0     0
"""

from __future__ import annotations

from ...errors import GuestError


def forwarded_port(text: str, guest_port: int) -> int:
    """The port of the host's loopback that leads to `guest_port`. Raises `GuestError` where none does."""
    for line in text.splitlines():
        match line.split():
            case ["TCP[HOST_FORWARD]", _, "127.0.0.1", port, _, inside, *_] if inside == str(guest_port):
                return int(port)
    raise GuestError(f"QEMU forwards nothing to the guest's port {guest_port}.", f"It said: {text.strip()!r}")
