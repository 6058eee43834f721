"""What goes wrong between the vz driver, its helper and the framework: a sentence, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from fakes.guests import BANNER
from fakes.machines import M3, launched, spec

from processes import alive
from snowshed.drivers.vz import client as client_module
from snowshed.drivers.vz import driver as driver_module
from snowshed.drivers.vz import vm as vm_module
from snowshed.drivers.vz.driver import VzDriver
from snowshed.drivers.vz.vm import SavableVzVm
from snowshed.errors import GuestError, SnowshedError, UserError
from snowshed.model.machine import Network
from vz_at_work import running, talk


async def test_memory_of_another_machine_is_refused(on, tmp_path: Path) -> None:
    driver, machine, memory = on(), spec(tmp_path), tmp_path / "suspend.state"
    async with launched() as given, running(driver, machine, given) as vm:
        assert isinstance(vm, SavableVzVm)
        await vm.pause()
        await vm.save(memory)
    async with launched() as other:  # a new state directory, a new identifier
        with pytest.raises(GuestError, match="saved memory is not accepted any more"):
            await driver.start(machine, other.launch, restore=memory)


async def test_a_save_that_fails_leaves_a_vm_that_goes_on(on, faults, tmp_path: Path) -> None:
    faults("save-fails")
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        assert isinstance(vm, SavableVzVm)
        await vm.pause()
        with pytest.raises(GuestError, match="memory could not be saved"):
            await vm.save(tmp_path / "suspend.state")
        await vm.resume()
        assert await talk(vm) == BANNER


async def test_a_wish_out_of_place_is_refused_with_a_reason(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        with pytest.raises(GuestError, match="in no state for that"):
            await vm.resume()
        await vm.pause()
        with pytest.raises(GuestError, match="in no state for that"):
            await vm.request_stop()


async def test_a_port_where_nothing_listens(on, faults, tmp_path: Path) -> None:
    faults("no-vsock")
    async with launched() as given, running(on(), spec(tmp_path, network=Network.NONE), given) as vm:
        with pytest.raises(ConnectionRefusedError):
            await vm.connect(22)
        with pytest.raises(GuestError, match="guest agent cannot be reached"):
            await vm.agent()
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        with pytest.raises(GuestError, match="No address of the guest"):
            await vm.connect(22)


async def test_a_connection_that_hangs_is_given_up(on, faults, monkeypatch, tmp_path: Path) -> None:
    faults("connect-hangs")
    monkeypatch.setattr(client_module, "CONNECT_PATIENCE", 0.3)
    async with launched() as given, running(on(), spec(tmp_path, network=Network.NONE), given) as vm:
        with pytest.raises(GuestError, match=r"did not answer within .* \(Connect\)"):
            await vm.connect(22)
        await vm.pause()
        await vm.resume()


async def test_what_the_delegate_hears_reaches_the_journal(on, faults, tmp_path: Path) -> None:
    faults("detached")
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        await talk(vm)
        assert given.notices == [
            "The guest's network card was disconnected: The network device was disconnected. "
            "A restart connects it again."
        ]


async def test_a_guest_that_crashes(on, faults, tmp_path: Path) -> None:
    faults("crashes")
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (False, "It stopped unexpectedly")


@pytest.mark.parametrize("word", ["ignores-power", "stop-hangs"])
async def test_a_kill_always_kills(on, faults, monkeypatch, tmp_path: Path, word: str) -> None:
    """Whether the guest ignores its power button, or the framework does not pull the plug."""
    faults("ignores-power", word)
    monkeypatch.setattr(vm_module, "STOP_PATIENCE", 0.5)
    monkeypatch.setattr(client_module, "EXIT_PATIENCE", 0.5)
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        await vm.request_stop()
        await asyncio.gather(vm.kill(), vm.kill())
        assert not alive(vm.pid)
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (False, "its plug was pulled")


async def test_a_helper_that_is_killed(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        connection = await vm.connect(22)
        os.kill(vm.pid, signal.SIGKILL)
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (False, "the vz helper ended with -9, and the guest with it")
        with pytest.raises(GuestError, match="helper is gone"):
            await vm.pause()
        connection.close()


async def test_a_helper_that_is_stopped_does_not_hang_its_supervisor(on, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vm_module, "PATIENCE", 0.2)
    monkeypatch.setattr(vm_module, "STOP_PATIENCE", 0.2)
    monkeypatch.setattr(client_module, "EXIT_PATIENCE", 0.2)
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        os.kill(vm.pid, signal.SIGSTOP)
        with pytest.raises(GuestError, match=r"did not answer within .* \(Pause\)"):
            await vm.pause()
        await vm.kill()
        assert not alive(vm.pid)


async def test_a_signal_from_outside_shuts_the_guest_down(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        await given.hears(b"snowshed-stage: nix")
        os.kill(vm.pid, signal.SIGTERM)
        await vm.wait()
        assert b"Power down" in given.said


async def test_a_helper_whose_supervisor_is_gone_ends(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        vm._client._wire._socket.shutdown(2)
        ended = await vm.wait()
        assert not ended.clean
        assert not alive(vm.pid)


async def test_a_start_that_the_framework_refuses(on, faults, tmp_path: Path) -> None:
    faults("start-fails")
    async with launched() as given:
        with pytest.raises(GuestError, match=r"Virtualization\.framework failed .*The VM went away"):
            await on().start(spec(tmp_path), given.launch)


async def test_a_start_that_hangs(on, faults, monkeypatch, tmp_path: Path) -> None:
    faults("start-hangs")
    monkeypatch.setattr(driver_module, "START_PATIENCE", 0.5)
    async with launched() as given:
        with pytest.raises(GuestError, match=r"did not answer .* \(Start\)"):
            await on().start(spec(tmp_path), given.launch)


async def test_a_missing_entitlement(on, faults, tmp_path: Path) -> None:
    faults("no-entitlement")
    (problem,) = on().check(spec(tmp_path))
    assert isinstance(problem, UserError)
    assert "doctor --fix" in problem.hint
    async with launched() as given:
        with pytest.raises(UserError, match="does not let the helper's interpreter"):
            await on().start(spec(tmp_path), given.launch)


HELLO = '{"is":"hello","protocol":%d,"version":"0.0.1","pid":1}'


BAD_HELPERS = {
    "says nothing": (None, "", "said nothing for"),
    "ends at once": ("", "dyld: Library not loaded", "ended at once: dyld: Library not loaded"),
    "has no PyObjC": (
        "",
        "ModuleNotFoundError: No module named 'Virtualization'",
        "PyObjC cannot be used: No module named 'Virtualization'",
    ),
    "talks nonsense": ("hello\n", "", "answered with nonsense"),
    "is too old": (HELLO % 0 + "\n", "", "of snowshed 0.0.1 and speaks another protocol"),
    "goes mad later": (HELLO % 1 + "\nboo\n", "", "answered with nonsense"),
}


@pytest.mark.parametrize(("says", "logs", "message"), BAD_HELPERS.values(), ids=BAD_HELPERS)
async def test_a_helper_that_is_no_good(tmp_path: Path, monkeypatch, says: str | None, logs: str, message: str) -> None:
    """An error with a sentence, and the process is gone."""
    monkeypatch.setattr(client_module, "HELLO_PATIENCE", 2.0)
    code = f"""if True:
        import os, pathlib, sys, time
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
        print({logs!r}, file=sys.stderr, flush=True)
        if {says!r}:
            os.write(int(sys.argv[2]), {says!r}.encode())
        if {says!r} != "":
            time.sleep(60)"""
    async with launched() as given:
        with pytest.raises(SnowshedError, match=message):
            await VzDriver(M3, [sys.executable, "-c", code]).start(spec(tmp_path), given.launch)
        assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_start_that_is_cancelled_leaves_nothing(on, faults, tmp_path: Path) -> None:
    faults("start-hangs")
    async with launched() as given:
        attempt = asyncio.create_task(on().start(spec(tmp_path), given.launch))
        messages = given.state / "hypervisor.log"
        async with asyncio.timeout(20):
            while not messages.exists():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
