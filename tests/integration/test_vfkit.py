"""The vfkit and krunkit drivers against programs that speak their command line and REST, with their faults."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.guests import BANNER
from fakes.machines import M3, Launched, efi_spec, first_line, launched, spec
from fakes.programs import install, script

from processes import alive
from snowshed.drivers.base import Pausable, Suspendable
from snowshed.drivers.krunkit.driver import KrunkitDriver, KrunkitVm
from snowshed.drivers.vfkit import vm as vm_module
from snowshed.drivers.vfkit.driver import VfkitDriver
from snowshed.drivers.vfkit.rest_driver import version_of
from snowshed.drivers.vfkit.vm import RestVm, VfkitVm
from snowshed.errors import GuestError, SnowshedError
from snowshed.model.machine import MachineSpec, Network


@pytest.fixture(autouse=True)
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vfkit, krunkit and vmnet-helper on the PATH; no version remembered from another test."""
    programs = install(tmp_path / "bin", "vfkit", "krunkit")
    script(programs / "vmnet-helper", "exec sleep 60")
    script(programs / "ps", "echo 20480")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    version_of.cache_clear()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    return lambda *words: monkeypatch.setenv("FAKE_VFKIT_FAULTS", ",".join(words))


@asynccontextmanager
async def running(machine: MachineSpec) -> AsyncIterator[tuple[VfkitVm, Launched]]:
    async with launched() as given:
        vm = await VfkitDriver(M3).start(machine, given.launch)
        assert isinstance(vm, VfkitVm)
        try:
            yield vm, given
        finally:
            await vm.kill()


async def talk(vm: RestVm) -> bytes:
    with await vm.connect(22) as connection:
        return await first_line(connection)


async def test_a_guest_from_start_to_shutdown(tmp_path: Path) -> None:
    async with running(spec(tmp_path)) as (vm, given):
        await given.hears(b"snowshed-stage: nix")
        assert await talk(vm) == BANNER
        with await vm.agent() as agent:
            await asyncio.get_running_loop().sock_sendall(agent, b'{"execute": "guest-ping"}\n')
            assert await first_line(agent) == b'{"return": {}}\n'
        await vm.request_stop()
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (True, "the guest has shut down")
        assert b"Power down" in given.said, "the console's last words were read"
        assert left_over(given) == set()


def left_over(given: Launched) -> set[str]:
    """The names of sockets that are still there."""
    return {path.name for path in given.state.iterdir() if path.is_socket()}


async def test_the_fake_is_given_what_it_accepts_only(tmp_path: Path) -> None:
    """vfkit's parser refuses what it does not know: a spec with everything passes it."""
    (tmp_path / "shared").mkdir()
    from snowshed.model.machine import Share

    everything = spec(tmp_path, shares=(Share("s", tmp_path / "shared", False),), rosetta=True, nested=True)
    assert VfkitDriver(M3).check(everything) == []
    async with running(everything) as (vm, _):
        assert await talk(vm) == BANNER


async def test_an_efi_image_boots_twice_with_one_variable_store(tmp_path: Path) -> None:
    machine = efi_spec(tmp_path)
    async with running(machine):
        (tmp_path / "variables.fd").write_bytes(b"the guest's own")
    async with running(machine):
        assert (tmp_path / "variables.fd").read_bytes() == b"the guest's own"


async def test_pause_keeps_the_guest_silent_and_resume_lets_it_speak(tmp_path: Path) -> None:
    async with running(spec(tmp_path)) as (vm, _):
        assert isinstance(vm, Pausable)
        assert not isinstance(vm, Suspendable)
        with await vm.connect(22) as connection:
            assert await first_line(connection) == BANNER
            await vm.pause()
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, b"hello\n")
            with pytest.raises(TimeoutError):
                await first_line(connection, patience=0.1)
            await vm.resume()
            assert await first_line(connection) == b"hello\n"


async def test_a_pause_that_the_framework_refuses(tmp_path: Path, faults) -> None:
    faults("refuses-pause")
    async with running(spec(tmp_path)) as (vm, _):
        with pytest.raises(GuestError, match="refused to pause the VM: The virtual machine cannot be paused just now"):
            await vm.pause()
        assert await talk(vm) == BANNER


async def test_first_answers_that_say_stopped_are_no_end(tmp_path: Path, faults) -> None:
    faults("late-state")
    async with running(spec(tmp_path)) as (vm, _):
        assert await talk(vm) == BANNER


@pytest.mark.parametrize("words", [("ignores-power",), ("ignores-power", "lost-hardstop")])
async def test_a_guest_without_a_power_button_is_unplugged(tmp_path: Path, faults, words: tuple[str, ...]) -> None:
    """Whether HardStop is answered or its answer is lost with the process."""
    faults(*words)
    async with running(spec(tmp_path)) as (vm, given):
        await vm.request_stop()
        await vm.kill()
        ended = await vm.wait()
        assert (ended.clean, ended.detail) == (False, "its plug was pulled")
        assert left_over(given) == set()


async def test_a_process_that_stays_behind_its_vm_is_ended(tmp_path: Path, faults, monkeypatch) -> None:
    """REST says Stopped, HardStop is refused, SIGTERM does nothing: only SIGKILL helps, and harms nobody."""
    faults("hang")
    monkeypatch.setattr(vm_module, "PULL_PATIENCE", 0.2)
    async with running(spec(tmp_path)) as (vm, given):
        await vm.request_stop()
        await given.hears(b"Power down")
        await vm.kill()
        assert not alive(vm.pid)
        assert left_over(given) == set()


async def test_killing_twice_and_at_once_is_killing(tmp_path: Path) -> None:
    async with running(spec(tmp_path)) as (vm, _):
        await asyncio.gather(vm.kill(), vm.kill())
        assert not alive(vm.pid)
        await vm.kill()


async def test_sockets_left_by_a_killed_vfkit_do_not_stop_the_next(tmp_path: Path) -> None:
    """A stale REST socket is fatal to vfkit, a stale vsock socket is passed over in silence: both must go first."""
    async with launched() as given:
        for name in ("rest.sock", "vsock-22.sock", "vsock-1024.sock", "vfkit-1a2b-77.sock"):
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(given.state / name))
        vm = await VfkitDriver(M3).start(spec(tmp_path), given.launch)
        assert await talk(vm) == BANNER
        os.kill(vm.pid, signal.SIGKILL)
        ended = await vm.wait()
        assert not ended.clean
        assert left_over(given) == set()


async def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path, faults) -> None:
    faults("never-running")
    async with launched() as given:
        with pytest.raises(
            GuestError, match="ended before the VM was running: virtual machine is not running: it failed"
        ):
            await VfkitDriver(M3).start(spec(tmp_path), given.launch)
        assert left_over(given) == set()


async def test_an_image_that_vfkit_refuses(tmp_path: Path) -> None:
    machine = spec(tmp_path)
    (tmp_path / "disk.img").write_bytes(b"QFI\xfb" + b"\0" * 4092)
    async with launched() as given:
        with pytest.raises(GuestError, match="unsupported or empty image"):
            await VfkitDriver(M3).start(machine, given.launch)


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, faults) -> None:
    faults("late-state")
    async with launched() as given:
        attempt = asyncio.create_task(VfkitDriver(M3).start(spec(tmp_path), given.launch))
        async with asyncio.timeout(20):
            while "rest.sock" not in left_over(given):  # no event tells when a file appears
                await asyncio.sleep(0.01)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert left_over(given) == set()


@pytest.mark.parametrize(("version", "clean"), [("0.6.1", False), ("0.6.4", True)])
async def test_a_signal_from_outside(tmp_path: Path, monkeypatch, version: str, clean: bool) -> None:
    """Up to 0.6.1 SIGTERM cuts the guest off; since then the guest shuts down."""
    monkeypatch.setenv("FAKE_VFKIT_VERSION", version)
    async with running(spec(tmp_path)) as (vm, given):
        await given.hears(b"snowshed-stage: nix")
        os.kill(vm.pid, signal.SIGTERM)
        assert (await vm.wait()).clean is clean


async def test_an_old_vfkit_boots_a_plain_guest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_VFKIT_VERSION", "0.6.0")
    assert VfkitDriver(M3).check(spec(tmp_path)) == []
    async with running(spec(tmp_path)) as (vm, _):
        assert await talk(vm) == BANNER


async def test_a_guest_that_listens_on_no_vsock_is_looked_for_on_the_network(tmp_path: Path, faults) -> None:
    """Its address is nowhere to be found here, and the error says so; the connection is not passed on dead."""
    faults("no-vsock")
    async with running(spec(tmp_path)) as (vm, _):
        with pytest.raises(GuestError, match="No address of the guest"):
            await vm.connect(22)
    async with running(spec(tmp_path, network=Network.NONE)) as (vm, _):
        assert await talk(vm) == b"", "without a network there is nothing else to try"


async def test_a_restricted_guest_has_a_card_that_leads_nowhere(tmp_path: Path) -> None:
    async with running(spec(tmp_path, network=Network.RESTRICTED)) as (vm, _):
        assert any(target.startswith("socket:") for target in open_files(vm.pid))
        assert await talk(vm) == BANNER


def open_files(pid: int) -> set[str]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}


async def test_the_lock_is_inherited_by_the_hypervisor(tmp_path: Path) -> None:
    async with running(spec(tmp_path)) as (vm, given):
        assert str(given.state / "vm.lock") in open_files(vm.pid)


def test_a_host_without_vfkit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert [problem.message for problem in VfkitDriver(M3).check(spec(tmp_path))] == ["vfkit is not installed."]


async def test_suspended_memory_is_not_taken(tmp_path: Path) -> None:
    async with launched() as given:
        with pytest.raises(GuestError, match="cannot save"):
            await VfkitDriver(M3).start(spec(tmp_path), given.launch, restore=tmp_path / "suspend.state")


async def test_a_krunkit_guest_from_start_to_shutdown(tmp_path: Path) -> None:
    machine = efi_spec(tmp_path)
    driver = KrunkitDriver(M3)
    assert driver.check(machine) == []
    async with launched() as given:
        vm = await driver.start(machine, given.launch)
        assert isinstance(vm, KrunkitVm)
        assert not isinstance(vm, Pausable)
        await given.hears(b"snowshed-stage: nix")
        assert await talk(vm) == BANNER
        assert (await vm.memory()).resident == 20 << 20
        await vm.request_stop()
        assert (await vm.wait()).clean
        assert left_over(given) == set()


async def test_krunkit_has_a_stop_that_always_works(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_GUEST_FAULTS", "ignores-power")
    async with launched() as given:
        vm = await KrunkitDriver(M3).start(efi_spec(tmp_path), given.launch)
        await vm.request_stop()
        await vm.kill()
        assert not alive(vm.pid)
        assert not (await vm.wait()).clean


async def test_krunkit_without_its_network_helper(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "bin/vmnet-helper").unlink()
    found: list[SnowshedError] = KrunkitDriver(M3).check(efi_spec(tmp_path))
    assert [problem.message for problem in found] == ["vmnet-helper is not installed."]
    assert KrunkitDriver(M3).check(efi_spec(tmp_path, network=Network.NONE)) == []
    async with launched() as given:
        with pytest.raises(SnowshedError, match="not installed"):
            await KrunkitDriver(M3).start(efi_spec(tmp_path), given.launch)
