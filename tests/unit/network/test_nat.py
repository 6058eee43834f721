"""Where the guest may be, and how that is verified before a byte of SSH goes there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from snowshed.errors import GuestError
from snowshed.network.nat import NatAddress, candidates, contradicts

MAC = "02:da:72:56:00:01"
OTHER = "02:da:72:56:00:02"


def lease(address: str, mac: str = MAC, name: str = "default") -> str:
    return f"{{\nname={name}\nip_address={address}\nhw_address=1,{mac}\nlease=0x67000001\n}}\n"


def arp(address: str, mac: str = MAC) -> str:
    return f"? ({address}) at {mac} on bridge100 ifscope [bridge]\n"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Network:
    """A host whose leases and ARP table are texts, and whose neighbours listen or not."""

    def __init__(self, leases: str = "", table: str = "", listening: tuple[str, ...] = ()) -> None:
        self.leases, self.table, self.listening = leases, table, listening
        self.dialled: list[str] = []
        self.peers: list[socket.socket] = []

    async def dial(self, address: str, port: int) -> socket.socket:
        self.dialled.append(address)
        if address not in self.listening:
            raise ConnectionRefusedError(address)
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        return ours

    def guest(self, record: Path | None = None) -> NatAddress:
        return NatAddress(MAC, "default", record, leases=lambda: self.leases, arp=lambda: self.table, dial=self.dial)


def test_the_lease_of_the_card_goes_first_then_arp_then_the_name() -> None:
    text = lease("10.0.0.1") + "{\nname=default\nip_address=10.0.0.3\nlease=0x77000000\n}\n"
    assert candidates(text, arp("10.0.0.2"), mac=MAC, hostname="default") == ["10.0.0.1", "10.0.0.2"]
    text = "{\nname=default\nip_address=10.0.0.3\nlease=0x77000000\n}\n"
    assert candidates(text, arp("10.0.0.2"), mac=MAC, hostname="default") == ["10.0.0.2", "10.0.0.3"]


def test_another_card_at_the_address_contradicts_and_silence_does_not() -> None:
    assert contradicts(arp("10.0.0.1", OTHER), address="10.0.0.1", mac=MAC)
    assert not contradicts(arp("10.0.0.1"), address="10.0.0.1", mac=MAC)
    assert not contradicts("", address="10.0.0.1", mac=MAC)


async def test_a_lease_is_verified_by_a_connection_and_noted(tmp_path: Path) -> None:
    record = tmp_path / "guest-ip"
    network = Network(lease("10.0.0.1"), listening=("10.0.0.1",))
    guest = network.guest(record)
    (await guest.connect(22)).close()
    assert record.read_text() == "10.0.0.1\n"
    assert names(tmp_path) == ["guest-ip"]
    guest.forget()
    assert not record.exists()


async def test_an_address_that_was_handed_to_another_card_is_not_the_guest(tmp_path: Path) -> None:
    network = Network(lease("10.0.0.1"), arp("10.0.0.1", OTHER), listening=("10.0.0.1",))
    with pytest.raises(GuestError, match="answers on port 22"):
        await network.guest(tmp_path / "guest-ip").connect(22)
    assert network.peers[0].recv(1) == b"", "the wrong machine's connection was closed"
    assert not (tmp_path / "guest-ip").exists()


async def test_without_a_lease_the_arp_table_finds_it() -> None:
    network = Network(table=arp("10.0.0.2"), listening=("10.0.0.2",))
    (await network.guest().connect(22)).close()
    assert network.dialled == ["10.0.0.2"]


async def test_nothing_is_dialled_where_nothing_is_known() -> None:
    network = Network(lease(""), listening=("",))
    with pytest.raises(GuestError):
        await network.guest().connect(22)
    assert network.dialled == []


async def test_a_guest_that_moved_is_found_again(tmp_path: Path) -> None:
    record = tmp_path / "guest-ip"
    network = Network(lease("10.0.0.1"), listening=("10.0.0.1",))
    guest = network.guest(record)
    (await guest.connect(22)).close()
    network.leases, network.listening = lease("10.0.0.9"), ("10.0.0.9",)
    (await guest.connect(22)).close()
    assert record.read_text() == "10.0.0.9\n"
    assert network.dialled == ["10.0.0.1", "10.0.0.1", "10.0.0.9"]
