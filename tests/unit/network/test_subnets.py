"""Networks of the host, as its tools print them."""

from __future__ import annotations

from snowshed.network.subnets import overlapping, parse_addresses, parse_ifconfig

IP = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0@if7    inet 10.0.0.7/16 brd 10.0.255.255 scope global eth0\\       valid_lft forever
3: wg0    inet 10.0.2.9/32 scope global wg0
4: bad    inet nonsense scope global bad
"""
IFCONFIG = """\
lo0: flags=8049<UP,LOOPBACK> mtu 16384
\tinet 127.0.0.1 netmask 0xff000000
utun3: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1380
\tinet 10.8.0.2 --> 10.8.0.1 netmask 0xffffff00
"""


def test_addresses_of_linux() -> None:
    found = parse_addresses(IP)
    assert [(name, str(where)) for name, where in found] == [
        ("lo", "127.0.0.1/8"),
        ("eth0", "10.0.0.7/16"),
        ("wg0", "10.0.2.9/32"),
    ]
    assert overlapping(found, "10.0.2.0/24") == ["eth0 (10.0.0.7)", "wg0 (10.0.2.9)"]
    assert overlapping(found, "192.168.0.0/16") == []


def test_addresses_of_macos() -> None:
    assert [(name, str(where)) for name, where in parse_ifconfig(IFCONFIG)] == [
        ("lo0", "127.0.0.1/8"),
        ("utun3", "10.8.0.2/24"),
    ]
