from __future__ import annotations

import asyncio

import pytest

from snowshed.supervisor import idle
from snowshed.supervisor.idle import Leases


class Fired:
    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.times = 0

    def __call__(self) -> None:
        self.times += 1
        self.event.set()


async def test_no_deadline_before_the_guest_runs() -> None:
    leases = Leases(60, Fired())
    assert leases.remaining is None
    leases.arm()
    assert leases.remaining is not None
    assert 0 < leases.remaining <= 60


async def test_a_lease_removes_the_deadline_and_its_end_sets_a_whole_new_one() -> None:
    leases = Leases(60, Fired())
    leases.arm()
    with leases.hold("connection"):
        assert leases.remaining is None
        with leases.hold("connection"):
            pass
        assert leases.remaining is None
        assert leases.reasons == ("connection",)
    assert leases.remaining is not None
    assert not leases


async def test_zero_means_never() -> None:
    leases = Leases(0, Fired())
    leases.arm()
    with leases.hold("x"):
        pass
    assert leases.remaining is None


async def test_the_deadline_fires_once() -> None:
    fired = Fired()
    leases = Leases(0.001, fired)
    leases.arm()
    await asyncio.wait_for(fired.event.wait(), 30)
    assert (fired.times, leases.remaining) == (1, None)


async def test_quiet_comes_once_after_the_last_lease_also_without_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "QUIET", 0.001)
    expired, quiet = Fired(), Fired()
    leases = Leases(0, expired, quiet)
    with leases.hold("connection"):
        leases.arm()
        await asyncio.sleep(0.01)
        assert quiet.times == 0
    await asyncio.wait_for(quiet.event.wait(), 30)
    assert (quiet.times, expired.times) == (1, 0)


async def test_a_guest_that_went_down_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "QUIET", 0.0)
    quiet = Fired()
    leases = Leases(60, Fired(), quiet)
    leases.arm()
    leases.disarm()
    await asyncio.sleep(0.01)
    assert quiet.times == 0


async def test_a_guest_that_is_down_is_not_idle() -> None:
    leases = Leases(60, Fired())
    leases.arm()
    leases.disarm()
    with leases.hold("connection"):
        pass
    assert leases.remaining is None


async def test_arrivals_tell_of_leases_that_are_gone_again() -> None:
    leases = Leases(60, Fired())
    before = leases.arrivals
    with leases.hold("connection"):
        pass
    assert not leases
    assert leases.arrivals == before + 1


async def test_reasons_are_counted() -> None:
    leases = Leases(60, Fired())
    with leases.hold("connection"), leases.hold("connection"), leases.hold("build"):
        assert leases.reasons == ("build", "connection (2)")
