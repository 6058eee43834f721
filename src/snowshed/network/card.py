"""The host's end of a guest's network card, where that is a datagram socket."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

_BUFFERS = ((socket.SO_SNDBUF, 1 << 20), (socket.SO_RCVBUF, 4 << 20))
"""As Virtualization.framework's header asks for: the receiving one two to four times the sending one."""


def card_pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair of datagram sockets: the guest's end, and ours."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in pair:
        for option, size in _BUFFERS:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, option, size)
    return pair


class DeadEnd:
    """A card whose packets go nowhere, for guests that are to reach neither the host nor the world.

    `card` is the guest's end; what it sends to ours is thrown away, so that its buffer never fills.
    """

    def __init__(self) -> None:
        self.card, self._sink = card_pair()
        self._sink.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sink, self._discard)

    def _discard(self) -> None:
        try:
            self._sink.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_reader(self._sink)

    def close(self) -> None:
        """Close both ends of ours; a hypervisor that inherited the card keeps its own until it ends."""
        self._loop.remove_reader(self._sink)
        self._sink.close()
        self.card.close()
