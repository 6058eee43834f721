"""The host's IPv4 networks, from the output of its tools, and which of them overlap. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network

Address = tuple[str, IPv4Interface]
"""An interface's name, and an address of it with its network."""

_IFCONFIG_NAME = re.compile(r"^([a-z][\w.]*): flags=", re.ASCII)
_IFCONFIG_INET = re.compile(r"^\s+inet (\d+\.\d+\.\d+\.\d+) .*netmask 0x([0-9a-f]{8})", re.ASCII)


def parse_addresses(text: str) -> list[Address]:
    """The addresses in the output of ``ip -o -4 address`` (Linux, ip-address(8))."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] == "inet":
            found.append((words[1].split("@")[0], _interface(words[3])))
    return [(name, interface) for name, interface in found if interface is not None]


def parse_ifconfig(text: str) -> list[Address]:
    """The addresses in the output of ``ifconfig -a`` as macOS prints it, netmasks in hexadecimal."""
    name, found = "", []
    for line in text.splitlines():
        if match := _IFCONFIG_NAME.match(line):
            name = match[1]
        elif match := _IFCONFIG_INET.match(line):
            mask = int(match[2], 16)
            found.append((name, _interface(f"{match[1]}/{mask.bit_count()}")))
    return [(name, interface) for name, interface in found if interface is not None]


def overlapping(addresses: Sequence[Address], network: str) -> list[str]:
    """The interfaces, as ``name (address)``, whose networks overlap `network`."""
    wanted = IPv4Network(network)
    return [f"{name} ({where.ip})" for name, where in addresses if where.network.overlaps(wanted)]


def _interface(text: str) -> IPv4Interface | None:
    try:
        return IPv4Interface(text)
    except ValueError:
        return None
