"""Our ends of what connects us to a QEMU, and its ends until it has them."""

from __future__ import annotations

import socket

from .argv import Wiring
from .ram import SharedRam
from .vsock import VsockContext


class Channels:
    """Monitor, console, agent and QEMU's own messages as socket pairs; the vsock context where there is one.

    No path is involved, so nobody else can connect and nothing is left behind. `close` may be called at any time.
    """

    def __init__(self, vsock: VsockContext | None = None) -> None:
        self.monitor, self._its_monitor = socket.socketpair()
        self.console, self._its_console = socket.socketpair()
        self.agent, self._its_agent = socket.socketpair()
        self.messages, self._its_messages = socket.socketpair()
        self._vsock = vsock
        self._shares: dict[str, socket.socket] = {}
        self.ram: SharedRam | None = None

    def add_shares(self, peers: dict[str, socket.socket], ram: SharedRam) -> None:
        """Take over the sockets to the daemons of shares, by tag, and the memory that they work on."""
        self._shares = peers
        self.ram = ram

    @property
    def context(self) -> int | None:
        """The guest's vsock context id."""
        return self._vsock.number if self._vsock else None

    @property
    def output(self) -> int:
        """Where QEMU's own messages go, as long as `hand_over` has not been called."""
        return self._its_messages.fileno()

    def wiring(self) -> Wiring:
        """The descriptors as QEMU is told them: it inherits them under the numbers that they have here."""
        return Wiring(
            monitor=self._its_monitor.fileno(),
            console=self._its_console.fileno(),
            agent=self._its_agent.fileno(),
            shares={tag: peer.fileno() for tag, peer in self._shares.items()},
            ram=self.ram.descriptor if self.ram else None,
            vsock=(self._vsock.descriptor, self._vsock.number) if self._vsock else None,
        )

    def inherited(self) -> list[int]:
        """What QEMU has to inherit."""
        wiring = self.wiring()
        several = [*wiring.shares.values(), *([wiring.vsock[0]] if wiring.vsock else [])]
        several += [] if wiring.ram is None else [wiring.ram]
        return [wiring.monitor, wiring.console, wiring.agent, *several]

    def hand_over(self) -> None:
        """Close QEMU's ends here, now that it has them."""
        for end in (self._its_monitor, self._its_console, self._its_agent, self._its_messages, *self._shares.values()):
            end.close()
        if self._vsock:
            self._vsock.close()

    def close(self) -> None:
        """Close everything."""
        self.hand_over()
        if self.ram:
            self.ram.close()
        for end in (self.monitor, self.console, self.agent, self.messages):
            end.close()
