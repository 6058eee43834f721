"""The QEMU driver against a process that takes QEMU's command line and speaks its protocols."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from fakes.qemu import FakeQemu
from specs import linux_spec

import snowshed.drivers.qemu.vm as vm_module
from processes import alive
from qemu_at_work import BANNER, CancelledAt, awaiting, greeting, receive, recording, running, until
from snowshed.drivers.qemu.argv import Firmware
from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.errors import GuestError
from snowshed.guest.agent import Agent
from snowshed.guest.contract import contract
from snowshed.model.machine import Arch, EfiBoot, MachineSpec, Network


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def opened_by(pid: int) -> set[str]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize("arch", list(Arch))
async def test_a_vm_starts_is_reached_and_shuts_itself_down(qemu: FakeQemu, tmp_path: Path, arch: Arch) -> None:
    async with running(tmp_path, linux_spec(tmp_path, arch=arch)) as (vm, recorder):
        await recorder.heard(b"snowshed-stage: nix")
        with await vm.connect(contract().ports.ssh) as peer:
            assert await receive(peer, len(BANNER)) == BANNER
            await asyncio.get_running_loop().sock_sendall(peer, b"hello")
            assert await receive(peer, 5) == b"hello"
        await vm.request_stop()
        assert (await vm.wait()).clean
    assert not alive(vm.pid)
    assert [entry["what"] for entry in qemu.journal()] == ["start", "connection", "words", "powerdown", "end"]


async def test_a_connection_made_before_the_guest_is_up_is_answered_when_it_is(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec
) -> None:
    qemu.fail("slow-boot=0.1")
    async with running(tmp_path, spec) as (vm, recorder):
        assert await greeting(vm) == BANNER
        assert b"snowshed-stage: disk" in recorder.console


class Vsock:
    """Stands in for a kernel's vsock, which this machine may not have: connects, or refuses, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
        self.tried: list[tuple[int, int]] = []
        self._works = works
        self._connect = vm_module._connect
        monkeypatch.setattr("snowshed.drivers.qemu.channels.Channels.context", 77777)
        monkeypatch.setattr(vm_module, "_vsock", lambda: self)
        monkeypatch.setattr(vm_module, "_connect", self.connect)

    def setblocking(self, _: bool) -> None: ...

    def close(self) -> None: ...

    async def connect(self, peer: Any, address: tuple[int, int]) -> Any:
        if peer is not self:
            return await self._connect(peer, address)
        self.tried.append(address)
        if not self._works:
            raise ConnectionResetError
        ours, theirs = socket.socketpair()
        theirs.sendall(BANNER)
        theirs.close()
        return ours


@pytest.mark.parametrize(("works", "tried"), [(True, 2), (False, 1)])
async def test_vsock_is_used_where_it_works_and_the_forwarded_port_otherwise(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch, works: bool, tried: int
) -> None:
    vsock = Vsock(monkeypatch, works=works)
    async with running(tmp_path, spec) as (vm, _):
        assert await greeting(vm) == BANNER
        assert await greeting(vm) == BANNER
        assert vsock.tried == [(77777, 22)] * tried
    assert len(qemu.journal("connection")) == (0 if works else 2)


async def test_without_card_and_vsock_nothing_is_reached(
    qemu: FakeQemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vsock = Vsock(monkeypatch, works=False)
    async with running(tmp_path, linux_spec(tmp_path, network=Network.NONE)) as (vm, _):
        for _ in range(2):
            with pytest.raises(GuestError, match="vsock port 22"):
                await vm.connect(22)
        assert len(vsock.tried) == 2


async def test_the_agent_can_be_connected_again_and_again(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    async with running(tmp_path, spec) as (vm, _):
        for second in (1.5, 2.5):
            agent = await Agent.connect(await vm.agent())
            await agent.set_time(second)
            await agent.close()
    assert [entry["time"] for entry in qemu.journal("set-time")] == [1.5, 2.5]


async def test_the_agent_shuts_the_guest_down(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    async with running(tmp_path, spec) as (vm, _):
        agent = await Agent.connect(await vm.agent())
        await agent.shutdown()
        assert (await vm.wait()).clean
        await agent.close()
        with pytest.raises(GuestError, match="gone"):
            await vm.agent()


async def test_of_our_files_qemu_inherits_the_lock_alone(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    async with running(tmp_path, spec) as (vm, _):
        files = opened_by(vm.pid)
        ours = {name for name in files if name.startswith(str(tmp_path)) and not name.endswith(".img")}
        assert ours == {str(tmp_path / "vm.lock")}


async def test_a_qemu_that_does_not_start_is_reported_in_its_own_words(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec
) -> None:
    qemu.fail("exits-at-start")
    async with recording(tmp_path) as recorder:
        with pytest.raises(GuestError, match="cannot set up guest memory") as caught:
            await QemuDriver().start(spec, recorder.launch)
        assert "--memory" in caught.value.hint
        assert "cannot set up guest memory" in recorder.log.read_text()


async def test_two_machines_do_not_share_a_disk(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    async with running(tmp_path, spec) as (_, recorder):
        with pytest.raises(GuestError, match="in use by another program"):
            await QemuDriver().start(spec, recorder.launch)


async def test_a_killed_qemu_is_noticed(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    async with running(tmp_path, spec) as (vm, _):
        os.kill(vm.pid, signal.SIGKILL)
        ended = await vm.wait()
    assert (ended.clean, "SIGKILL" in ended.detail) == (False, True)


async def test_qemu_ends_with_the_task_group_that_owns_it(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    pids: list[int] = []

    async def fail_beside_it() -> None:
        async with recording(tmp_path) as recorder:
            pids.append((await QemuDriver().start(spec, recorder.launch)).pid)
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await fail_beside_it()
    assert not alive(pids[0])


async def test_a_panic_is_told_with_the_kernels_words(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    qemu.fail("panics-after=0")
    async with running(tmp_path, spec) as (vm, recorder):
        ended = await vm.wait()
    assert (ended.clean, "fake panic" in ended.detail) == (False, True)
    assert len([notice for notice in recorder.notices if "fake panic" in notice]) == 1


async def test_a_guest_that_firmware_started_does_not_spin_after_a_panic(
    qemu: FakeQemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firmware = Firmware(tmp_path / "code", tmp_path / "template")
    firmware.code.write_bytes(b"code")
    firmware.template.write_bytes(b"variables")
    monkeypatch.setattr("snowshed.drivers.qemu.driver.find_firmware", lambda *_: firmware)
    monkeypatch.setattr("snowshed.drivers.qemu.vm.PANIC_SECONDS", 0.01)
    qemu.fail("panics-after=0", "hangs-in-panic")
    async with running(tmp_path, linux_spec(tmp_path, boot=EfiBoot(tmp_path / "variables"))) as (vm, _):
        ended = await vm.wait()
    assert (ended.clean, "fake panic" in ended.detail) == (False, True)
    assert (tmp_path / "variables").read_bytes() == b"variables"


async def test_a_vm_stopped_by_a_full_disk_goes_on_when_there_is_space(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snowshed.drivers.qemu.stall.LOOK_SECONDS", 0.0)
    qemu.fail("disk-full-after=0")
    async with running(tmp_path, spec) as (_, recorder):
        await recorder.noticed("disk is full")
        await recorder.noticed("There is space again")
        await until(lambda: bool(qemu.journal("cont")))


async def test_a_start_can_be_cancelled_at_any_point_and_leaves_nothing(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec
) -> None:
    QemuDriver().fingerprint(spec)  # looks the program up, in a process of its own that ends when it likes
    before = open_descriptors()
    for turn in range(1, 200):
        async with recording(tmp_path) as recorder:
            start = CancelledAt(QemuDriver().start(spec, recorder.launch), turn)
            try:
                vm = await asyncio.create_task(awaiting(start))
            except asyncio.CancelledError:
                continue
            await vm.kill()
            break
    assert turn > 5
    started = [entry["pid"] for entry in qemu.journal("start")]
    assert started
    assert [pid for pid in started if alive(pid)] == []
    assert open_descriptors() <= before + 4, "more than the event loop's own"
