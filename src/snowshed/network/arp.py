"""The host's ARP table: the text that ``arp -an`` prints, read for one guest. Pure, and never an exception.

A line is ``? (192.168.64.2) at 2:da:72:56:0:1 on bridge100 ifscope [bridge]``; an address that nobody has answered
for says ``(incomplete)`` in place of the hardware address.
"""

from __future__ import annotations

import re

from .leases import guest_address
from .mac import mac_octets

_ENTRY = re.compile(r"\(([0-9.]{7,15})\) at ([0-9a-f:.-]{11,17})(?=\s|$)", re.IGNORECASE | re.ASCII)


def entries(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """The (IPv4 address, hardware address) pairs of all complete entries, in the order of the table."""
    found = []
    for match in _ENTRY.finditer(text):
        address, card = guest_address(match[1]), mac_octets(match[2])
        if address is not None and card is not None:
            found.append((address, card))
    return found


def find_address(text: str, *, mac: str) -> str | None:
    """The first IPv4 address in the table at which the card with `mac` answered the host; None if there is none."""
    wanted = mac_octets(mac)
    return next((address for address, card in entries(text) if card == wanted), None)


def has(text: str, *, address: str, mac: str) -> bool:
    """Whether the card with `mac` answered the host at `address`."""
    return (address, mac_octets(mac)) in entries(text)
