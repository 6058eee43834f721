"""The vz driver with a helper that does its work: machines that start, are reached, sleep and wake."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
from fakes.guests import BANNER
from fakes.machines import INTEL, M1, M3, efi_spec, first_line, launched, spec

from processes import alive
from snowshed.drivers.base import Pausable, Suspendable
from snowshed.drivers.mac import Mac
from snowshed.drivers.vz.driver import IDENTIFIER, VzDriver
from snowshed.drivers.vz.vm import SavableVzVm
from snowshed.model.machine import Arch, MachineSpec, Network, Share
from vz_at_work import open_files, running, talk


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
        assert not alive(vm.pid)


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


async def test_the_lock_is_inherited_by_the_helper(on, tmp_path: Path) -> None:
    async with launched() as given, running(on(), spec(tmp_path), given) as vm:
        assert str(given.state / "vm.lock") in open_files(vm.pid)


def test_the_stand_in_is_used_by_no_accident(monkeypatch) -> None:
    """Without its folder on the path, this machine has no PyObjC."""
    monkeypatch.delenv("PYTHONPATH")
    from importlib.util import find_spec

    assert find_spec("Virtualization") is None
