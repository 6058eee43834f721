"""The DHCP leases of macOS: the text of ``/var/db/dhcpd_leases``, read for one guest. Pure, and never an exception.

bootpd keeps one brace-enclosed block of ``name=value`` lines for each lease. As users have reported them (vfkit#242,
lima#3123): hardware addresses lose their leading zeros (``1,2:da:72:56:0:1``), and a client that sends a DHCP unique
identifier is filed under ``ff,`` with the bytes of that instead, which end in the hardware address only for the
types that contain one (RFC 8415, section 11). ``lease`` is the second, since 1970 and in hexadecimal, when it ends.
A guest that was started often has several; addresses are handed to others later. So what is found here is where
the guest may be: `snowshed.network.nat` verifies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from .mac import mac_octets, octets

ETHERNET = "1"
_HEX = re.compile(r"0x[0-9a-f]{1,16}", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True)
class Lease:
    """One lease: `until` in seconds since the epoch, 0 where the file does not say.

    `ethernet` is the client's hardware address where the lease names it, `identifiers` all that may end in it.
    """

    address: str
    name: str = ""
    until: int = 0
    ethernet: tuple[int, ...] | None = None
    identifiers: frozenset[tuple[int, ...]] = field(default_factory=frozenset)

    def belongs_to(self, mac: tuple[int, ...]) -> bool:
        """Whether the client says that its hardware address is `mac`."""
        return self.ethernet == mac or any(found[-len(mac) :] == mac for found in self.identifiers)


def find_address(text: str, *, mac: str | None = None, hostname: str | None = None, not_before: int = 0) -> str | None:
    """The IPv4 address last leased to the guest with `mac`, else to one called `hostname`; None if there is none.

    Of several leases the one that ends last wins, and of equal ones the later in the file. Leases that ended before
    `not_before` (seconds since the epoch) do not count, nor those under the name that are plainly another card's.
    """
    leases = [lease for lease in parse(text) if lease.until >= not_before]
    card = mac_octets(mac) if mac else None
    if card is not None:
        found = _newest(lease for lease in leases if lease.belongs_to(card))
        if found is not None:
            return found
        leases = [lease for lease in leases if lease.ethernet is None]
    if not hostname:
        return None
    return _newest(lease for lease in leases if lease.name == hostname)


def parse(text: str) -> list[Lease]:
    """The leases in `text` that have an address a guest can have, in the order of the file."""
    leases = (_lease(block) for block in _blocks(text))
    return [lease for lease in leases if lease is not None]


def guest_address(text: str) -> str | None:
    """`text` as an IPv4 address that a guest on the host's network can have, or None.

    The empty address and the loopback lead to the host itself, where its own sshd would answer for the guest.
    """
    try:
        address = IPv4Address(text.strip())
    except (AddressValueError, ValueError):
        return None
    wrong = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_reserved
    return None if wrong else str(address)


def _newest(leases: Iterator[Lease]) -> str | None:
    best: Lease | None = None
    for lease in leases:
        if best is None or lease.until >= best.until:
            best = lease
    return best.address if best else None


def _blocks(text: str) -> Iterator[dict[str, str]]:
    block: dict[str, str] = {}
    for line in text.splitlines():
        word = line.strip()
        if word in ("{", "}"):
            yield block
            block = {}
            continue
        name, separator, value = word.partition("=")
        if separator:
            block[name.strip()] = value.strip()
    yield block


def _lease(block: dict[str, str]) -> Lease | None:
    address = guest_address(block.get("ip_address", ""))
    if address is None:
        return None
    ethernet = None
    identifiers = set()
    for key in ("hw_address", "identifier"):
        kind, separator, value = block.get(key, "").partition(",")
        found = octets(value if separator else kind)
        if found is None:
            continue
        if (kind.strip() == ETHERNET or not separator) and len(found) == 6:
            ethernet = ethernet or found
        elif len(found) > 6:
            identifiers.add(found)
    return Lease(address, block.get("name", ""), _seconds(block.get("lease", "")), ethernet, frozenset(identifiers))


def _seconds(text: str) -> int:
    if _HEX.fullmatch(text):
        return int(text, 16)
    return int(text) if _DECIMAL.fullmatch(text) else 0
