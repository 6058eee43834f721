"""The doctor on recorded Macs: all is well on a healthy one, and each known illness is named, with what to do."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.macs import mac

from snowshed.doctor.check import Finding, Level, examine, worst
from snowshed.doctor.mac_network import BOOTPD, FIREWALL, parse_apps
from snowshed.doctor.mac_rights import background_items
from snowshed.doctor.table import TABLE

LOG = "/usr/bin/log show --last 15m --style compact --predicate 'process == \"bootpd\"'"
NAT = "/usr/bin/defaults read /Library/Preferences/SystemConfiguration/com.apple.nat NAT"
ROSETTA = "/Library/Apple/usr/libexec/oah/RosettaLinux/rosetta"
VMNET = "/usr/bin/defaults read /Library/Preferences/SystemConfiguration/com.apple.vmnet Shared_Net_Address"
NO_BRIDGE = """
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet 192.168.2.20 netmask 0xffffff00 broadcast 192.168.2.255
"""
TAHOE_BRIDGE = (
    NO_BRIDGE
    + """bridge100: flags=8a63<UP,BROADCAST> mtu 1500
\tinet 192.168.2.1 netmask 0xffffff00 broadcast 192.168.2.255
"""
)
BTM = """
========================
 Records for UID -2 : FFFFEEEE-DDDD-CCCC-BBBB-AAAAFFFFFFFE
========================

 Items:

 #1:
                 UUID: 5B7F
                 Name: snowshed
       Developer Name: (null)
                 Type: legacy daemon (0x10010)
          Disposition: [enabled, disallowed, notified] (0x9)
           Identifier: 16.org.snowshed.default
                  URL: file:///Library/LaunchDaemons/org.snowshed.default.plist
      Executable Path: /Library/Application Support/snowshed/snowshed
  Embedded Item Identifiers:
    #1: 16.org.example.other

 #2:
                 Name: sh
          Disposition: [enabled, allowed, notified] (0xb)
           Identifier: 16.org.nixos.nix-daemon
      Executable Path: /bin/sh

 #3:
                 Name: Spotify
          Disposition: [enabled, disallowed, notified] (0x9)
           Identifier: 2.com.spotify.client
"""


def findings(**illness: dict[str, Any]) -> dict[str, Finding]:
    return {finding.id: finding for finding in examine(TABLE, mac(**illness))}


def ran(argv: str, out: str = "", status: int = 0) -> dict[str, Any]:
    return {"ran": {argv: {"out": out, "status": status}}}


def test_a_healthy_mac_is_healthy() -> None:
    found = findings()
    assert worst(found.values()) is Level.NOTE
    assert {name: f.detail for name, f in found.items() if f.level is Level.NOTE} == {
        "qemu": "qemu-system-aarch64 is not installed; the driver in use needs none",
        "background": "only root may ask macOS",
    }
    assert found["way-out"].detail == "by 192.168.64.1"
    assert found["nix-daemon"].detail == "protocol 1.38, nix-daemon (Nix) 2.26.3"


def leases(number: int) -> str:
    return "".join(
        f"{{\n\tname=vm{n}\n\tip_address=192.168.64.{n}\n\thw_address=1,2:0:0:0:0:{n:x}\n\tlease=0x7fffffff\n}}\n"
        for n in range(2, 2 + number)
    )


ILLNESSES: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "the firewall blocks bootpd": (
        ran(f"{FIREWALL} --listapps", f"1 : {BOOTPD} \n    (Block incoming connections)\n"),
        "firewall",
        Level.WARNING,
        "it blocks bootpd",
    ),
    "the firewall blocks everything": (
        ran(f"{FIREWALL} --getglobalstate", "Firewall is blocking all non-essential incoming connections. (State = 2)"),
        "firewall",
        Level.WARNING,
        "it blocks all incoming connections",
    ),
    "the firewall does not list bootpd": (
        ran(f"{FIREWALL} --listapps", "Total number of apps = 0"),
        "firewall",
        Level.NOTE,
        "bootpd is not in its list",
    ),
    "bootpd is disabled, as macOS 14 writes it": (
        ran("/bin/launchctl print-disabled system", 'disabled services = {\n\t"com.apple.bootpd" => true\n}'),
        "bootpd",
        Level.WARNING,
        "com.apple.bootpd is disabled",
    ),
    "bootpd is disabled, as macOS 15 writes it": (
        ran("/bin/launchctl print-disabled system", 'disabled services = {\n\t"com.apple.bootpd" => disabled\n}'),
        "bootpd",
        Level.WARNING,
        "com.apple.bootpd is disabled",
    ),
    "launchd lost bootpd": (
        ran("/bin/launchctl print system/com.apple.bootpd", "", 113),
        "bootpd",
        Level.WARNING,
        "launchd does not know com.apple.bootpd",
    ),
    "nobody answers the guests": (
        ran(LOG, "I bootpd[1:2] DHCP DISCOVER [bridge100]\nI bootpd[1:2] DHCP DISCOVER [bridge100]\n"),
        "bootpd-log",
        Level.WARNING,
        "asked 2 times",
    ),
    "macOS 26 put the bridge on the home network": (
        ran("/sbin/ifconfig -a", TAHOE_BRIDGE),
        "bridge",
        Level.WARNING,
        "192.168.2.0/24 is the network of en0 (192.168.2.20)",
    ),
    "the bridge will come up on the home network": (
        {"ran": {"/sbin/ifconfig -a": {"out": NO_BRIDGE}, VMNET: {"out": "192.168.2.1\n", "status": 0}}},
        "bridge",
        Level.WARNING,
        "192.168.2.0/24 is the network of en0",
    ),
    "Internet Sharing": (
        ran(
            "/usr/bin/defaults read /Library/Preferences/SystemConfiguration/com.apple.nat NAT",
            "{\n    Enabled = 1;\n}",
        ),
        "sharing",
        Level.WARNING,
        "Internet Sharing is on",
    ),
    "leases run out": (
        {"read": {"/var/db/dhcpd_leases": leases(220)}},
        "leases",
        Level.WARNING,
        "220 addresses of about 250 are leased",
    ),
    "a background item is refused": (
        {"case": {"uid": 0}, "ran": {"/usr/bin/sfltool dumpbtm": {"out": BTM}}},
        "background",
        Level.WARNING,
        "macOS may not start: org.snowshed.default",
    ),
    "Local Network is refused": (
        {"facts": {"local network": {"address": "192.168.64.3", "error": "EHOSTUNREACH", "answers_arp": True}}},
        "local-network",
        Level.WARNING,
        "macOS keeps this program from 192.168.64.3",
    ),
    "the interpreter lost its entitlement": (
        ran("/usr/bin/codesign -d --entitlements - --xml /Users/ada/.cache/snowshed/vz/bin/snowshed-vz", "<dict/>"),
        "interpreter",
        Level.FATAL,
        "has no com.apple.security.virtualization entitlement",
    ),
    "an update broke the signature": (
        ran("/usr/bin/codesign --verify /Users/ada/.cache/snowshed/vz/bin/snowshed-vz", "", 1),
        "interpreter",
        Level.FATAL,
        "is broken",
    ),
    "Rosetta does not know the kernel": (
        {
            "case": {"config": {"rosetta": True}},
            "ran": {"/usr/bin/sw_vers -productVersion": {"out": "15.7.3\n"}},
            "facts": {"kernel of the image": "6.13.2"},
            "files": {
                "/Library/Apple/usr/libexec/oah/RosettaLinux/rosetta": {
                    "kind": "file",
                    "mode": 493,
                    "uid": 0,
                    "size": 1,
                }
            },
        },
        "rosetta",
        Level.WARNING,
        "Rosetta of macOS 15.7 runs nothing under Linux 6.13",
    ),
    "Rosetta is not installed": (
        {
            "case": {"config": {"rosetta": True}},
            "files": {ROSETTA: None},
        },
        "rosetta",
        Level.WARNING,
        "it is wanted and not installed",
    ),
    "the Mac is managed": (
        ran("/usr/bin/profiles status -type enrollment", "MDM enrollment: Yes (User Approved)\n"),
        "management",
        Level.NOTE,
        "managed (MDM)",
    ),
    "an old macOS": (ran("/usr/bin/sw_vers -productVersion", "12.7.4\n"), "macos", Level.WARNING, "older than 13"),
    "QEMU 11.0.1 from nixpkgs": (
        ran("qemu-system-aarch64 --version", "QEMU emulator version 11.0.1\n"),
        "qemu",
        Level.WARNING,
        "may abort at its start",
    ),
    "QEMU 9.1 on an M4": (
        ran("qemu-system-aarch64 --version", "QEMU emulator version 9.1.2\n"),
        "qemu",
        Level.WARNING,
        "aborts on an M4",
    ),
    "the clock of the guest stands": (
        {"facts": {"login": {"out": "time 1763990000\n"}}},
        "clock",
        Level.WARNING,
        "2 h 46 min behind",
    ),
    "the disk of the guest is full": (
        {"facts": {"login": {"out": "disk /dev/vdb 1000000 990000 10000 99% /data\n"}}},
        "guest-disk",
        Level.WARNING,
        "9.8 MiB of 977 MiB free",
    ),
    "the guest got no address": (
        {"facts": {"login": {"out": "route\ntime 1764000000\n"}}},
        "way-out",
        Level.WARNING,
        "no way out",
    ),
    "somebody else answers on the port": (
        {"facts": {"login": {"status": 255, "err": "Host key verification failed.\r\n", "out": ""}}},
        "identity",
        Level.FATAL,
        "another host key",
    ),
    "the guest does not know the key": (
        {"facts": {"login": {"status": 255, "err": "builder@127.0.0.1: Permission denied (publickey).\n", "out": ""}}},
        "login",
        Level.FATAL,
        "does not accept",
    ),
    "no Nix in the guest": (
        {"facts": {"handshake": {"answered": False, "protocol": 0, "error": "nix-daemon: not found"}}},
        "nix-daemon",
        Level.FATAL,
        "no Nix daemon answers in the guest: nix-daemon: not found",
    ),
}


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_is_named(name: str) -> None:
    illness, check, level, words = ILLNESSES[name]
    found = findings(**illness)[check]
    assert (found.level, words in found.detail) == (level, True), found
    assert found.hint or level is Level.NOTE


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_infects_no_other_check(name: str) -> None:
    """Besides the check that names it, only those that come after it are not what they are on a healthy Mac."""
    illness, check, _, _ = ILLNESSES[name]
    healthy, ill = findings(), findings(**illness)
    others = {n for n in ill if n != check and ill[n].level in (Level.WARNING, Level.FATAL)}
    assert others == set(), [ill[n] for n in others]
    assert set(ill) == set(healthy)


def test_a_managed_firewall_offers_no_command() -> None:
    managed = "/Library/Managed Preferences/com.apple.security.firewall.plist"
    there = {"kind": "file", "mode": 420, "uid": 0, "size": 9}
    blocked = {f"{FIREWALL} --listapps": {"out": f"1 : {BOOTPD} \n    (Block incoming connections)\n"}}
    found = findings(ran=blocked, files={managed: there})["firewall"]
    assert found.fix is None
    assert "organisation" in found.hint
    unmanaged = findings(ran=blocked)["firewall"].fix
    assert unmanaged is not None
    assert unmanaged.commands[0] == ("sudo", FIREWALL, "--add", BOOTPD)


def test_apps_of_the_firewall_in_the_older_form() -> None:
    text = "ALF: total number of apps = 2 \n\n1 :  /usr/libexec/bootpd \n \t ( Allow incoming connections ) \n\n"
    assert parse_apps(text + "2 :  /Applications/A B.app \n ( Block incoming connections ) \n") == {
        "/usr/libexec/bootpd": True,
        "/Applications/A B.app": False,
    }


def test_a_background_item_keeps_its_own_fields() -> None:
    assert [item["Identifier"] for item in background_items(BTM)] == [
        "16.org.snowshed.default",
        "16.org.nixos.nix-daemon",
        "2.com.spotify.client",
    ]


def test_no_check_of_a_mac_is_made_on_linux() -> None:
    ids = {finding.id for finding in examine(TABLE, mac(case={"platform": "linux"}))}
    assert not ids & {"firewall", "bootpd", "rosetta", "background"}
    assert {"userns", "inotify"} <= ids
