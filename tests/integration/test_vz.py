"""The vz driver against its helper as a process of its own, under the strict stand-in; and the helper's own faults."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.guests import BANNER
from fakes.machines import INTEL, M1, M3, Launched, efi_spec, first_line, launched, spec
from fakes.programs import ROOT

from snowshed.drivers.base import Pausable, Suspendable
from snowshed.drivers.mac import Mac
from snowshed.drivers.vz import client as client_module
from snowshed.drivers.vz import driver as driver_module
from snowshed.drivers.vz import vm as vm_module
from snowshed.drivers.vz.driver import HELPER, IDENTIFIER, VzDriver
from snowshed.drivers.vz.vm import SavableVzVm, VzVm
from snowshed.errors import GuestError, SnowshedError, UserError
from snowshed.model.machine import Arch, MachineSpec, Network, Share


@pytest.fixture(autouse=True)
def standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper finds the stand-in where PyObjC would be; nothing is remembered from another test."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/tests/fakes/vz/modules:{ROOT}/tests:{ROOT}/src")
    driver_module._known.clear()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    return lambda *words: monkeypatch.setenv("FAKE_VZ_FAULTS", ",".join(words))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """The driver on a given Mac, and the stand-in with it."""

    def choose(mac: Mac = M3) -> VzDriver:
        monkeypatch.setenv("FAKE_MACOS", ".".join(map(str, mac.version)))
        monkeypatch.setenv("FAKE_MACHINE", "arm64" if mac.arch is Arch.AARCH64 else "x86_64")
        monkeypatch.setenv("FAKE_CHIP", str(mac.chip))
        return VzDriver(mac, [sys.executable, *HELPER])

    return choose


@asynccontextmanager
async def running(driver: VzDriver, machine: MachineSpec, given: Launched, **more: Path) -> AsyncIterator[VzVm]:
    vm = await driver.start(machine, given.launch, **more)
    assert isinstance(vm, VzVm)
    try:
        yield vm
    finally:
        await vm.kill()


async def talk(vm: VzVm) -> bytes:
    with await vm.connect(22) as connection:
        return await first_line(connection)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_guest_from_start_to_shutdown(on, tmp_path: Path) -> None:
    machine = spec(tmp_path)
    async with launched() as given, running(on(), machine, given) as vm:
        await given.hears(b"snowshed-stage: nix")
        assert await talk(vm) == BANNER
        with await vm.agent() as agent:
            await asyncio.get_running_loop().sock_sendall(agent, b'{"execute": "guest-ping"}\n')
            assert await first_line(agent) == b'{"return": {}}\n'
        await vm.balloon(256 << 20)
        await vm.request_stop()
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (True, "the guest has shut down")
        assert b"Power down" in given.said, "the console's last words were read"
        assert not exists(vm.pid)


@pytest.mark.parametrize(
    ("mac", "suspends"),
    [
        (Mac((13, 0), Arch.AARCH64, 1, "22A"), False),
        (M1, True),
        (M3, True),
        (Mac((26, 0), Arch.AARCH64, 4, "25A"), True),
    ],
)
async def test_a_vm_can_be_saved_exactly_where_macos_agrees(on, tmp_path: Path, mac: Mac, suspends: bool) -> None:
    driver = on(mac)
    assert driver.capabilities(spec(tmp_path)).suspend is suspends
    async with launched() as given, running(driver, spec(tmp_path), given) as vm:
        assert isinstance(vm, Pausable)
        assert isinstance(vm, Suspendable) is suspends


async def test_an_intel_mac(on, tmp_path: Path) -> None:
    driver, machine = on(INTEL), spec(tmp_path, Arch.X86_64)
    assert driver.check(machine) == []
    capabilities = driver.capabilities(machine)
    assert (capabilities.suspend, capabilities.suspend_blocker) == (False, "Intel Macs cannot save VMs")
    assert (capabilities.rosetta, capabilities.nested) == (False, False)
    async with launched() as given, running(driver, machine, given) as vm:
        assert await talk(vm) == BANNER


async def test_a_share_forbids_suspending_and_is_named(on, tmp_path: Path) -> None:
    driver, machine = on(), spec(tmp_path, shares=(Share("src", tmp_path),))
    capabilities = driver.capabilities(machine)
    assert (capabilities.suspend, capabilities.suspend_blocker) == (False, "Unsupported directory sharing device.")
    async with launched() as given, running(driver, machine, given) as vm:
        assert not isinstance(vm, Suspendable)


async def test_suspended_memory_is_resumed_by_the_same_machine(on, tmp_path: Path) -> None:
    driver, machine, memory = on(), spec(tmp_path), tmp_path / "suspend.state"
    async with launched() as given:
        async with running(driver, machine, given) as vm:
            assert isinstance(vm, SavableVzVm)
            await vm.pause()
            await vm.save(memory)
            kept = (given.state / IDENTIFIER).read_bytes()
        async with running(driver, machine, given, restore=memory) as vm:
            assert (given.state / IDENTIFIER).read_bytes() == kept
            assert isinstance(vm, SavableVzVm)
            await vm.resume()
            assert await talk(vm) == BANNER
            assert given.said.count(b"snowshed-stage: boot") == 1, "it did not boot again"


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


async def test_many_connections_at_once_and_none_is_let_go_early(on, tmp_path: Path) -> None:
    """The stand-in ends a connection for everybody when the helper lets its object go."""
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        connections = await asyncio.gather(*(vm.connect(22) for _ in range(40)))
        gc.collect()
        loop = asyncio.get_running_loop()
        for number, connection in enumerate(connections):
            assert await first_line(connection) == BANNER
            await loop.sock_sendall(connection, b"%d\n" % number)
            assert await first_line(connection) == b"%d\n" % number
            connection.close()
            connection.close()


async def test_the_guest_hears_that_a_connection_was_closed(on, tmp_path: Path) -> None:
    """The helper's own descriptor would keep it open for ever: it is told, and lets go."""
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        before = len(os.listdir(f"/proc/{vm.pid}/fd"))  # noqa: PTH208
        connection = await vm.connect(22)
        assert await first_line(connection) == BANNER
        connection.close()
        async with asyncio.timeout(10):
            while len(os.listdir(f"/proc/{vm.pid}/fd")) > before:  # noqa: PTH208
                await asyncio.sleep(0.01)


async def test_a_connection_that_nobody_waits_for_any_more_is_closed(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        for _ in range(20):
            attempt = asyncio.create_task(vm.connect(22))
            await asyncio.sleep(0)
            attempt.cancel()
            await asyncio.wait((attempt,))
        assert await talk(vm) == BANNER


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
        assert not exists(vm.pid)
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
        assert not exists(vm.pid)


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
        assert not exists(vm.pid)


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


def test_what_stands_against_a_machine_is_said_before_it_starts(on, faults, tmp_path: Path) -> None:
    faults("rosetta-missing")

    def said(driver: VzDriver, machine: MachineSpec) -> list[str]:
        return [problem.message for problem in driver.check(machine)]

    assert said(on(), spec(tmp_path)) == []
    assert said(on(), spec(tmp_path, rosetta=True)) == ["Rosetta is not installed on this Mac."]
    assert said(on(), spec(tmp_path, cores=9)) == ["macOS gives a VM at most 8 cores."]
    assert said(on(M1), spec(tmp_path, nested=True)) == ["Nested virtualisation needs macOS 15; this Mac cannot do it."]
    (tmp_path / "odd.img").write_bytes(b"x" * 700)
    machine = spec(tmp_path)
    odd = type(machine.disks[0])(tmp_path / "odd.img", "data")
    import msgspec

    assert said(on(), msgspec.structs.replace(machine, disks=(odd,))) == [
        f"{tmp_path}/odd.img is not a raw disk image: its size is no multiple of 512 bytes."
    ]


def test_a_builder_that_was_never_started_can_be_checked(on, tmp_path: Path) -> None:
    """Its data disk and its variable store are not there yet, and checking makes neither."""
    machine = efi_spec(tmp_path)
    (tmp_path / "disk.img").unlink()
    assert on().check(machine) == []
    assert on().capabilities(machine).suspend
    assert not (tmp_path / "variables.fd").exists()


async def test_an_efi_machine_keeps_its_variables(on, tmp_path: Path) -> None:
    machine = efi_spec(tmp_path)
    async with launched() as given:
        async with running(on(), machine, given):
            (tmp_path / "variables.fd").write_bytes(b"the guest's own")
        async with running(on(), machine, given):
            assert (tmp_path / "variables.fd").read_bytes() == b"the guest's own"


async def test_a_restricted_guest_still_has_vsock(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path, network=Network.RESTRICTED), given) as vm:
        assert await talk(vm) == BANNER


async def test_a_nested_guest_where_the_chip_can(on, tmp_path: Path) -> None:
    driver = on(M3)
    assert driver.capabilities(spec(tmp_path)).nested
    assert not on(M1).capabilities(spec(tmp_path)).nested
    async with launched() as given, running(on(M3), spec(tmp_path, nested=True), given) as vm:
        assert await talk(vm) == BANNER


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
        assert not exists(int((tmp_path / "pid").read_text()))


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


async def test_the_lock_is_inherited_by_the_helper(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        assert str(given.state / "vm.lock") in open_files(vm.pid)


def open_files(pid: int) -> set[str]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}


def test_the_stand_in_is_used_by_no_accident(monkeypatch) -> None:
    """Without its folder on the path, this machine has no PyObjC."""
    monkeypatch.delenv("PYTHONPATH")
    from importlib.util import find_spec

    assert find_spec("Virtualization") is None
