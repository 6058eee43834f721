"""Reaching a guest at its address on the host's NAT network: the last resort, for images without vsock.

Where the guest may be is read off the DHCP leases and the ARP table; that it is there is shown by a connection, and
by the hardware address that answered for it. No wait happens here: who wants a guest that is still booting asks again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from ..errors import GuestError, SnowshedError
from ..process import run
from . import arp, leases

LEASES = Path("/var/db/dhcpd_leases")
PATIENCE = 2.0
"""Seconds for one connection to a neighbour: longer means that nobody is there."""

HINT = (
    "`snowshed doctor` looks at macOS's DHCP server and firewall; an image with vsock needs neither for SSH, "
    "only for its own way out."
)

Dial = Callable[[str, int], Awaitable[socket.socket]]


async def dial(address: str, port: int) -> socket.socket:
    """A connected, non-blocking socket to `port` of `address`. Raises `OSError`, `TimeoutError` after `PATIENCE`."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def arp_table() -> str:
    """What ``arp -an`` prints, or an empty text where there is no such program."""
    try:
        return run(["arp", "-an"], timeout=PATIENCE)
    except (SnowshedError, OSError):
        return ""


def lease_table(path: Path = LEASES) -> str:
    """The text of the host's DHCP leases, or an empty one."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def candidates(lease_text: str, arp_text: str, *, mac: str, hostname: str) -> list[str]:
    """Where the guest may be, the likeliest first."""
    guesses = (
        leases.find_address(lease_text, mac=mac),
        arp.find_address(arp_text, mac=mac),
        leases.find_address(lease_text, mac=mac, hostname=hostname),
    )
    return list(dict.fromkeys(guess for guess in guesses if guess))


def contradicts(arp_text: str, *, address: str, mac: str) -> bool:
    """Whether another card than `mac` answered the host at `address`."""
    at_address = [entry for entry in arp.entries(arp_text) if entry[0] == address]
    return bool(at_address) and not arp.has(arp_text, address=address, mac=mac)


class NatAddress:
    """The address of one guest on the NAT network, found when it is first needed and noted in `record`."""

    def __init__(
        self,
        mac: str,
        hostname: str,
        record: Path | None,
        *,
        leases: Callable[[], str] = lease_table,
        arp: Callable[[], str] = arp_table,
        dial: Dial = dial,
    ) -> None:
        self._mac, self._hostname, self._record = mac, hostname, record
        self._leases, self._arp, self._dial = leases, arp, dial
        self._known: str | None = None

    async def connect(self, port: int) -> socket.socket:
        """A connected socket to the guest's TCP `port`. Raises `GuestError` when it is nowhere to be found."""
        if self._known is not None:
            with suppress(OSError, TimeoutError):
                return await self._dial(self._known, port)
            self.forget()
        arp_text = await asyncio.to_thread(self._arp)
        for address in candidates(self._leases(), arp_text, mac=self._mac, hostname=self._hostname):
            connection = await self._try(address, port)
            if connection is not None:
                self._note(address)
                return connection
        raise GuestError(f"No address of the guest (MAC {self._mac}) on the NAT network answers on port {port}.", HINT)

    async def _try(self, address: str, port: int) -> socket.socket | None:
        try:
            connection = await self._dial(address, port)
        except (OSError, TimeoutError):
            return None
        if contradicts(await asyncio.to_thread(self._arp), address=address, mac=self._mac):  # asked after the dial
            connection.close()
            return None
        return connection

    def _note(self, address: str) -> None:
        self._known = address
        if self._record is None:
            return
        temporary = self._record.with_name(f".{self._record.name}.new")
        with suppress(OSError):
            temporary.write_text(f"{address}\n")
            temporary.replace(self._record)

    def forget(self) -> None:
        """Forget the address and remove the note: the guest is gone, or somewhere else."""
        self._known = None
        if self._record is not None:
            with suppress(OSError):
                self._record.unlink()
