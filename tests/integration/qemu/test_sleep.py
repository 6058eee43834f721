"""The same machine asleep: its memory in a file, and what may go wrong on the way there and back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from fakes.qemu import FakeQemu

from processes import alive
from qemu_at_work import BANNER, CancelledAt, awaiting, greeting, recording, running, until
from snowshed.drivers.base import Pausable, Suspendable
from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.errors import GuestError
from snowshed.model.machine import MachineSpec


@pytest.mark.parametrize("version", ["7.2.22", "9.1.0"])
async def test_a_vm_sleeps_in_a_file_and_goes_on_in_another_process(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, version: str
) -> None:
    qemu.fail(f"version={version}")
    memory = tmp_path / "memory"
    async with running(tmp_path, spec) as (vm, recorder):
        assert isinstance(vm, Suspendable)
        assert isinstance(vm, Pausable)
        await recorder.heard(b"snowshed-stage: nix")
        await vm.pause()
        await vm.save(memory)
        assert memory.stat().st_mode & 0o777 == 0o600
    async with recording(tmp_path) as recorder:
        second = await QemuDriver().start(spec, recorder.launch, restore=memory)
        assert qemu.journal("cont") == [], "it has to stay paused"
        await second.resume()
        assert await greeting(second) == BANNER
        assert b"snowshed-stage" not in recorder.console, "it has to go on, not to boot"
        await second.kill()
    assert [entry["saves"] for entry in qemu.journal("restore")] == [1]


@pytest.mark.parametrize("version", ["7.2.22", "9.1.0"])
async def test_a_wake_can_be_cancelled_at_any_point_and_leaves_nothing(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, version: str
) -> None:
    qemu.fail(f"version={version}")
    memory = tmp_path / "memory"
    async with running(tmp_path, spec) as (vm, _):
        await vm.pause()
        await vm.save(memory)
    for turn in range(1, 200):
        async with recording(tmp_path) as recorder:
            start = CancelledAt(QemuDriver().start(spec, recorder.launch, restore=memory), turn)
            try:
                second = await asyncio.create_task(awaiting(start))
            except asyncio.CancelledError:
                continue
            await second.kill()
            break
    assert turn > 8
    assert [entry["pid"] for entry in qemu.journal("start") if alive(entry["pid"])] == []


async def test_a_failed_save_leaves_a_vm_that_can_be_resumed_and_no_file(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec
) -> None:
    qemu.fail("save-fails")
    async with running(tmp_path, spec) as (vm, _):
        await vm.pause()
        with pytest.raises(GuestError, match="No space left on device") as caught:
            await vm.save(tmp_path / "memory")
        assert "Make room" in caught.value.hint
        assert not (tmp_path / "memory").exists()
        await vm.resume()
        assert await greeting(vm) == BANNER


async def test_a_save_can_be_cancelled_at_any_point(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    memory = tmp_path / "memory"
    async with running(tmp_path, spec) as (vm, _):
        for turn in range(1, 100):
            await vm.pause()
            try:
                await asyncio.create_task(awaiting(CancelledAt(vm.save(memory), turn)))
            except asyncio.CancelledError:
                assert not memory.exists()
            else:
                break
            await vm.resume()
            assert await greeting(vm) == BANNER
        assert memory.exists()
        assert turn > 4


async def test_qemu_dying_during_a_save_fails_the_save(qemu: FakeQemu, tmp_path: Path, spec: MachineSpec) -> None:
    qemu.fail("slow-save=3600")
    async with running(tmp_path, spec) as (vm, _):
        await vm.pause()
        saving = asyncio.create_task(vm.save(tmp_path / "memory"))
        await until(lambda: (tmp_path / "memory").exists())
        os.kill(vm.pid, signal.SIGKILL)
        with pytest.raises(GuestError):
            await saving
        assert "SIGKILL" in (await vm.wait()).detail


@pytest.mark.parametrize("content", [b"", b"QEVM and then rubbish"])
async def test_memory_that_cannot_be_loaded_is_an_error_and_leaves_nothing_running(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, content: bytes
) -> None:
    (tmp_path / "memory").write_bytes(content)
    async with recording(tmp_path) as recorder:
        with pytest.raises(GuestError, match="does not fit this QEMU, or is damaged"):
            await QemuDriver().start(spec, recorder.launch, restore=tmp_path / "memory")
    assert not alive(qemu.journal("start")[0]["pid"])


async def test_space_on_the_disk_does_not_continue_a_vm_that_was_paused(
    qemu: FakeQemu, tmp_path: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snowshed.drivers.qemu.stall.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("snowshed.drivers.qemu.stall.enough_space", lambda disks: False)
    qemu.fail("disk-full-after=0")
    async with running(tmp_path, spec) as (vm, recorder):
        await recorder.noticed("disk is full")
        await vm.pause()
        monkeypatch.setattr("snowshed.drivers.qemu.stall.enough_space", lambda disks: True)
        await vm.save(tmp_path / "memory")
        assert qemu.journal("cont") == []
