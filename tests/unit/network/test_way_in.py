"""vsock where the guest listens there, its address where it does not; and cards that lead nowhere."""

from __future__ import annotations

import asyncio
import socket

import pytest

from snowshed.errors import GuestError
from snowshed.network import way_in
from snowshed.network.card import DeadEnd
from snowshed.network.nat import NatAddress
from snowshed.network.way_in import WayIn, was_refused

LEASE = "{\nname=x\nip_address=10.0.0.1\nhw_address=1,2:0:0:0:0:1\nlease=0x67000001\n}\n"


class Host:
    """A host with a guest behind vsock and NAT; `says` is what vsock's other end does: a banner, ``""`` for silence,
    None for an end at once, or an error."""

    def __init__(self, says: bytes | Exception | None) -> None:
        self.says = says
        self.ways: list[str] = []
        self.peers: list[socket.socket] = []

    async def vsock(self, port: int) -> socket.socket:
        self.ways.append("vsock")
        if isinstance(self.says, Exception):
            raise self.says
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        if self.says is None:
            theirs.close()
        else:
            theirs.sendall(self.says)
        self.peers.append(theirs)
        return ours

    async def dial(self, address: str, port: int) -> socket.socket:
        self.ways.append(address)
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        return ours

    def way(self) -> WayIn:
        nat = NatAddress("02:00:00:00:00:01", "x", None, leases=lambda: LEASE, arp=lambda: "", dial=self.dial)
        return WayIn(self.vsock, nat)


async def test_vsock_is_taken_and_nothing_of_what_the_guest_says_is_lost() -> None:
    host = Host(b"SSH-2.0-x\r\n")
    way = host.way()
    with await way.connect(22) as connection:
        assert connection.recv(100) == b"SSH-2.0-x\r\n"
    (await way.connect(22)).close()
    assert host.ways == ["vsock", "vsock"]


async def test_a_guest_that_is_slow_to_speak_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_in, "PEEK", 0.05)
    host = Host(b"")
    (await host.way().connect(22)).close()
    assert host.ways == ["vsock"]


@pytest.mark.parametrize("says", [None, ConnectionRefusedError(), GuestError("no socket")])
async def test_an_image_without_vsock_is_reached_by_its_address(says: Exception | None) -> None:
    host = Host(says)
    (await host.way().connect(22)).close()
    assert host.ways == ["vsock", "10.0.0.1"]


async def test_once_vsock_has_worked_an_error_is_an_error() -> None:
    """A guest whose sshd restarts is not looked for elsewhere."""
    host = Host(b"SSH-2.0-x\r\n")
    way = host.way()
    (await way.connect(22)).close()
    host.says = ConnectionRefusedError()
    with pytest.raises(ConnectionRefusedError):
        await way.connect(22)
    assert "10.0.0.1" not in host.ways


async def test_without_a_network_there_is_vsock_only() -> None:
    with pytest.raises(ConnectionRefusedError):
        await WayIn(Host(ConnectionRefusedError()).vsock, None).connect(22)


async def test_a_reset_is_a_refusal() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        theirs.close()
        assert await was_refused(ours)


async def test_what_is_sent_into_a_dead_end_never_fills_it() -> None:
    end = DeadEnd()
    end.card.setblocking(False)
    async with asyncio.timeout(10):
        for _ in range(5000):
            await asyncio.get_running_loop().sock_sendall(end.card, b"x" * 1500)
    with pytest.raises(BlockingIOError):
        end.card.recv(100)
    end.close()
