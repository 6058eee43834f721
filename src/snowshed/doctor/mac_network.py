"""Checks of what a Mac puts between a guest and the world: firewall, DHCP server, bridges, leases.

A guest whose image has vsock is reached without any of that; its own way out (substituters, fetches) is not. So none
of these is fatal, and each hint says what fails because of it. What the tools print is as users have shown it in
public: canonical/multipass issues 2387, 4383 and 4581, lima-vm/socket_vmnet issue 18, nix-darwin issue 1705.
"""

from __future__ import annotations

import re
import time
from ipaddress import AddressValueError, IPv4Address

from ..network import leases
from ..network.subnets import overlapping, parse_ifconfig
from ..units import counted
from .check import Check, Fix, Verdict, fine, note, wrong
from .look import Look

FIREWALL = "/usr/libexec/ApplicationFirewall/socketfilterfw"
BOOTPD = "/usr/libexec/bootpd"
MANAGED_FIREWALL = "/Library/Managed Preferences/com.apple.security.firewall.plist"
VMNET = "/Library/Preferences/SystemConfiguration/com.apple.vmnet"

MANY_LEASES = 200
"""A network of 253 guests, and leases that live for a day: tart's FAQ."""

LET_BOOTPD = Fix(
    "let the firewall pass macOS's DHCP server (bootpd)",
    (
        ("sudo", FIREWALL, "--add", BOOTPD),
        ("sudo", FIREWALL, "--unblockapp", BOOTPD),
    ),
)

_APP = re.compile(r"^\s*\d+\s*:\s*(/\S.*?)\s*$", re.MULTILINE)
_DISABLED = re.compile(r'"com\.apple\.bootpd"\s*=>\s*(true|disabled)')


def parse_apps(text: str) -> dict[str, bool]:
    """The programs in ``socketfilterfw --listapps``, each with whether incoming connections are allowed."""
    apps: dict[str, bool] = {}
    current = ""
    for line in text.splitlines():
        if match := _APP.match(line):
            current = match[1]
        elif current and "incoming connections" in line:
            apps[current] = "Allow" in line
            current = ""
    return apps


def firewall(look: Look) -> Verdict:
    """The application firewall drops a guest's DHCP requests, at random, unless bootpd is allowed by name."""
    state = look.run(FIREWALL, "--getglobalstate").out
    if "State = 0" in state or "disabled" in state:
        return fine("off")
    if not state:
        return note("macOS does not say whether the firewall is on")
    managed = look.facts(MANAGED_FIREWALL) is not None
    block_all = "State = 2" in state or "enabled" in look.run(FIREWALL, "--getblockall").out.lower()
    if block_all:
        return wrong("it blocks all incoming connections, DHCP requests of guests included", _ask_whom(managed))
    allowed = parse_apps(look.run(FIREWALL, "--listapps").out).get(BOOTPD)
    if allowed is False:
        return wrong("it blocks bootpd, macOS's DHCP server", _ask_whom(managed), fix=None if managed else LET_BOOTPD)
    if allowed:
        return fine("on, and bootpd is allowed")
    return note(
        "on, and bootpd is not in its list: macOS lets it pass by its signature, most of the time",
        f"If guests get no address: `sudo {FIREWALL} --add {BOOTPD}`, then `--unblockapp`.",
    )


def _ask_whom(managed: bool) -> str:
    if managed:
        return (
            "Your organisation manages this Mac's firewall, and commands cannot change it: ask for an exception for "
            f"{BOOTPD}. Builds go on; what they fetch from the network does not."
        )
    return "System Settings > Network > Firewall > Options: allow bootpd, and turn “block all” off."


def bootpd(look: Look) -> Verdict:
    """launchd starts bootpd when a guest asks for an address, if it may."""
    if _DISABLED.search(look.run("/bin/launchctl", "print-disabled", "system").out):
        return wrong(
            "com.apple.bootpd is disabled in launchd: no guest gets an address",
            fix=Fix("let launchd start bootpd", (("sudo", "/bin/launchctl", "enable", "system/com.apple.bootpd"),)),
        )
    job = look.run("/bin/launchctl", "print", "system/com.apple.bootpd")
    if job.status != 0:
        return wrong("launchd does not know com.apple.bootpd: no guest gets an address", "Restart the Mac.")
    return fine("launchd has it")


def bootpd_log(look: Look) -> Verdict:
    """What bootpd said lately: requests without an answer are what a blocked or confused server looks like."""
    predicate = 'process == "bootpd"'
    output = look.run(
        "/usr/bin/log", "show", "--last", "15m", "--style", "compact", "--predicate", predicate, patience=60
    )
    if output.status != 0:
        return note("the log cannot be read; as an administrator it can")
    words = output.out.upper()
    asked, offered = words.count("DHCP DISCOVER"), words.count("OFFER SENT") + words.count("ACK SENT")
    if asked and not offered:
        return wrong(f"guests asked {asked} times for an address in the last 15 minutes and got none")
    if not asked and not offered:
        return note("no guest asked for an address in the last 15 minutes")
    return fine(f"{counted(asked, 'question')} and {counted(offered, 'answer')} in the last 15 minutes")


def bridges(look: Look) -> Verdict:
    """The network of the guests must not be one that the Mac is in already (macOS 26 chose 192.168.2.0/24)."""
    addresses = parse_ifconfig(look.run("/sbin/ifconfig", "-a").out)
    bridge = [one for one in addresses if one[0].startswith("bridge1")]
    others = [one for one in addresses if not one[0].startswith(("bridge", "lo", "vmenet"))]
    configured = look.run("/usr/bin/defaults", "read", VMNET, "Shared_Net_Address").out.strip()
    networks = {str(where.network) for _, where in bridge} or {_network_of(configured)}
    clashes = [
        f"{network} is the network of {', '.join(found)}"
        for network in sorted(networks)
        if (found := overlapping(others, network))
    ]
    if clashes:
        return wrong(f"the guests' network {'; '.join(clashes)} as well: neither reaches its gateway")
    there = ", ".join(f"{name} ({where})" for name, where in bridge) or f"none up; the guests' will be {min(networks)}"
    return fine(there)


def _network_of(configured: str) -> str:
    """The network that guests get: the configured one, else 192.168.64.0/24, as every macOS but early 26 has it."""
    try:
        first = IPv4Address(configured)
    except AddressValueError:
        return "192.168.64.0/24"
    return f"{IPv4Address(int(first) & ~0xFF)}/24"


def internet_sharing(look: Look) -> Verdict:
    """Internet Sharing runs the same DHCP server with its own configuration, which guests then get."""
    nat = look.run("/usr/bin/defaults", "read", "/Library/Preferences/SystemConfiguration/com.apple.nat", "NAT").out
    if re.search(r"^\s*Enabled = 1;", nat, re.MULTILINE):
        return wrong("Internet Sharing is on, and serves addresses of its own")
    return fine("off")


def lease_table(look: Look) -> Verdict:
    text = look.read("/var/db/dhcpd_leases")
    if text is None:
        return fine("no leases yet")
    now = look.fact("now", lambda: int(time.time()))
    live = [lease for lease in leases.parse(text) if lease.until == 0 or lease.until > now]
    if len(live) >= MANY_LEASES:
        return wrong(f"{len(live)} addresses of about 250 are leased: soon no guest gets one")
    return fine(counted(len(live), "lease"))


CHECKS = (
    Check(
        "firewall",
        "application firewall",
        firewall,
        "System Settings > Network > Firewall.",
        platform="darwin",
    ),
    Check(
        "bootpd",
        "DHCP server (bootpd)",
        bootpd,
        "`sudo launchctl enable system/com.apple.bootpd`, then `sudo launchctl kickstart system/com.apple.bootpd`.",
        platform="darwin",
    ),
    Check(
        "bootpd-log",
        "answers of the DHCP server",
        bootpd_log,
        "See the firewall above; restarting the Mac also makes it forget what it dropped.",
        platform="darwin",
    ),
    Check(
        "bridge",
        "network of the guests",
        bridges,
        f"Move it: `sudo defaults write {VMNET} Shared_Net_Address -string 192.168.105.1`, and restart the Mac; or "
        "renumber the other network.",
        platform="darwin",
    ),
    Check(
        "sharing",
        "Internet Sharing",
        internet_sharing,
        "System Settings > General > Sharing: turn it off while guests need the network.",
        platform="darwin",
    ),
    Check(
        "leases",
        "DHCP leases",
        lease_table,
        "`sudo rm /var/db/dhcpd_leases` while no guest runs. Builders of snowshed keep one address for ever; other "
        "programs that make many short-lived machines use them up.",
        platform="darwin",
    ),
)
