"""The helper on its channel, in this process: what it does with requests that make no sense, and with silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.machines import M1, M3, spec
from fakes.vz.exercise import helper, start, started
from fakes.vz.standin import StandIn

from snowshed.drivers.vz import serve
from snowshed.drivers.vz.messages import Closed, Ended, Failed, Pause, Question, Save, Stop
from snowshed.drivers.vz.probe import facts
from snowshed.model.machine import Share


async def test_a_wish_before_there_is_a_vm_is_refused() -> None:
    async with helper(StandIn()) as talk:
        assert await talk.ask(Pause) == Failed(1, "pause", "VZErrorDomain", 3, "there is no VM yet")
        await talk.say(Closed(7))
        await talk.ask(Stop)


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"do":"dance","id":1}\n', b'{"do":"connect","id":1}\n'])
async def test_a_supervisor_that_talks_nonsense_is_none(tmp_path: Path, line: bytes) -> None:
    """The plug is pulled: nobody could stop the guest any more."""
    standin = StandIn()
    async with helper(standin) as talk:
        await started(talk, spec(tmp_path), M3)
        await talk._wire.send(line)
    assert standin.vms[0].do_state() == 0


async def test_a_supervisor_that_is_gone_takes_its_guest_along(tmp_path: Path) -> None:
    standin = StandIn()
    async with helper(standin) as talk:
        await started(talk, spec(tmp_path), M3)
        talk._wire.close()
    assert standin.vms[0].do_state() == 0


async def test_a_machine_that_cannot_be_saved_is_not_even_tried(tmp_path: Path) -> None:
    async with helper(StandIn()) as talk:
        begun = await started(talk, spec(tmp_path, shares=(Share("src", tmp_path),)), M3)
        assert not begun.suspend
        await talk.done(Pause)
        refused = await talk.ask(Save, str(tmp_path / "memory"))
        assert isinstance(refused, Failed)
        assert (refused.code, refused.text) == (10, "Unsupported directory sharing device.")
        await talk.done(Stop)


async def test_a_plug_that_cannot_be_pulled_ends_the_helper_all_the_same(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The guest goes with the process."""
    monkeypatch.setattr(serve, "STOP_PATIENCE", 0.2)
    async with helper(StandIn(faults=["stop-hangs"])) as talk:
        await started(talk, spec(tmp_path), M3)
        assert isinstance(await talk.ask(Stop), Failed)


async def test_a_signal_asks_the_guest_first(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import signal

    async with helper(StandIn()) as talk:
        await started(talk, spec(tmp_path), M3)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await talk.event() == Ended(True, "the guest has shut down")
    monkeypatch.setattr(serve, "SIGTERM_GRACE", 0.1)
    async with helper(StandIn(faults=["ignores-power"])) as talk:
        await started(talk, spec(tmp_path), M3)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await talk.event() == Ended(False, "the helper was ended by a signal")


async def test_a_configuration_that_is_refused_is_said_in_the_frameworks_words(tmp_path: Path) -> None:
    async with helper(StandIn(faults=["validate-fails"])) as talk:
        refused = await start(talk, spec(tmp_path), M3)
        assert refused == Failed(1, "start", "VZErrorDomain", 2, "The balloon is not round.")
        await talk.ask(Stop)


def test_a_probe_starts_nothing_and_says_what_stands_against_a_machine(tmp_path: Path) -> None:
    def asked(*faults: str, macos: str = "14.5", **changes: object):  # type: ignore[no-untyped-def]
        standin = StandIn(macos, faults=faults)
        found = facts(standin.framework(), Question(spec(tmp_path, **changes), M1))
        assert standin.vms == []
        return found

    good = asked()
    assert (good.supported, good.problem, good.suspend, good.rosetta, good.nested) == (
        True,
        "",
        True,
        "installed",
        False,
    )
    assert "entitlement" in asked("no-entitlement").problem
    assert asked("rosetta-missing", rosetta=True).rosetta == "missing"
    assert asked("validate-fails").problem == "The balloon is not round."
    shared = asked(shares=(Share("src", tmp_path),))
    assert (shared.suspend, shared.blocker) == (False, "Unsupported directory sharing device.")
