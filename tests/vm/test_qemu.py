"""Real guests on the QEMU driver, both architectures, under whatever accelerator this machine has."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guests import Guest, guest, qemu_processes
from snowshed.config import ShareConfig
from snowshed.drivers.qemu import accel, binary
from snowshed.drivers.qemu.proof import prove
from snowshed.errors import GuestError
from snowshed.guest.contract import contract
from snowshed.model.machine import Accelerator, Arch
from snowshed.supervisor.guest import DROP_CACHE
from snowshed.units import KIB, MIB

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = qemu_processes()
    yield
    assert qemu_processes() == before


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def allocated(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize("arch", list(Arch))
def test_the_proof_guest_runs_to_its_end(arch: Arch) -> None:
    assert prove(binary.program(arch), arch, Accelerator.TCG) == ""


def test_hardware_is_used_only_where_the_proof_guest_ran_on_it() -> None:
    host = accel.look()
    assert host.arch is not None
    proofs: list[str] = []

    def proven(candidate: Accelerator) -> str:
        assert host.arch is not None
        proofs.append(prove(binary.program(host.arch), host.arch, candidate))
        return proofs[-1]

    chosen, reason = accel.choose(Accelerator.AUTO, host.arch, host, proven)
    assert (chosen is not Accelerator.TCG) == (proofs == [""])
    if host.arch is Arch.X86_64 and not host.flags & {"vmx", "svm"}:
        assert (chosen, proofs) == (Accelerator.TCG, []), reason


@pytest.mark.parametrize("arch", list(Arch))
async def test_a_guest_lives_sleeps_wakes_and_shuts_down(tmp_path: Path, arch: Arch) -> None:
    async with guest(tmp_path, system=arch.nix_system) as (machine, tasks):
        await machine.boot(tasks)
        await _it_is_what_was_asked_for(machine)
        await _what_is_freed_goes_back_to_the_host(machine)
        await machine.sh("(i=0; while :; do i=$((i+1)); echo $i >/run/count; sleep 0.1; done) >/dev/null 2>&1 &")

        await machine.vm.pause()
        frozen_at = time.time()
        await machine.vm.save(machine.memory_file)
        assert machine.memory_file.stat().st_mode & 0o777 == 0o600
        await machine.vm.kill()
        assert qemu_processes() == set(), "its memory has to be the host's again"

        await machine.wake(tasks)
        await machine.vm.resume()
        agent = await machine.agent()
        await agent.set_time(time.time() + 3600)
        assert float(await machine.sh("date +%s")) > frozen_at + 3000
        before = int(await machine.sh("cat /run/count"))
        assert before >= 1, "what ran before goes on"
        await _until_more_than(machine, before)
        assert b"snowshed-stage: boot" not in machine.recorder.console, "it did not boot again"
        assert (await machine.ssh("uname -m")).strip() == arch

        if arch is Arch.X86_64:
            await machine.vm.request_stop()
        else:
            await agent.shutdown()
        async with asyncio.timeout(60):
            ended = await machine.vm.wait()
        await agent.close()
        assert (ended.clean, ended.detail) == (True, "the guest shut itself down")


async def _it_is_what_was_asked_for(machine: Guest) -> None:
    stages = re.findall(r"snowshed-stage: (\w+)", machine.recorder.console.decode(errors="replace"))
    assert stages == ["boot", "sshd", "disk", "nix"], "the data disk waits for SSH"
    assert sorted(stages) == sorted(contract().stages)
    assert (await machine.ssh("uname -m")).strip() == machine.spec.arch
    assert (await machine.sh("nproc")).strip() == str(machine.spec.cores)
    serials = await machine.sh("for disk in /sys/block/vd*; do cat $disk/serial; echo; done")
    assert sorted(serials.split()) == ["data", "root", "seed"]
    figures = await machine.vm.memory()
    assert figures.resident is not None
    assert 100 * MIB < figures.resident < machine.spec.memory + 600 * MIB
    inside = await (agent := await machine.agent()).memory()
    await agent.close()
    assert machine.spec.memory * 0.8 < inside.total <= machine.spec.memory
    assert 0 < inside.available < inside.total


async def _what_is_freed_goes_back_to_the_host(machine: Guest) -> None:
    disk = machine.paths.disk
    await machine.sh("dd if=/dev/urandom of=/data/junk bs=1M count=100 2>/dev/null; sync")
    full = allocated(disk)
    assert full > 100 * MIB
    held = await _resident(machine)
    assert int(await machine.sh(DROP_CACHE)) * KIB > 75 * MIB
    async with asyncio.timeout(60):
        while await _resident(machine) > held - 50 * MIB:  # no event tells
            await asyncio.sleep(0.1)
    agent = await machine.agent()
    await machine.sh("rm /data/junk; sync")
    assert await agent.trim() > 75 * MIB
    await agent.close()
    assert allocated(disk) < full - 75 * MIB


async def _resident(machine: Guest) -> int:
    resident = (await machine.vm.memory()).resident
    assert resident is not None
    return resident


async def _until_more_than(machine: Guest, count: int) -> None:
    async with asyncio.timeout(30):
        while int(await machine.sh("cat /run/count") or 0) <= count:
            await asyncio.sleep(0.1)


async def test_a_restricted_guest_reaches_nothing_and_a_panic_ends_it(tmp_path: Path) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with guest(tmp_path, system=Arch.X86_64.nix_system, network="restricted") as (machine, tasks):
        await machine.boot(tasks)
        assert (await machine.ssh("id -un")).strip() == "builder", "the host reaches the guest all the same"
        tried = await machine.sh(f"busybox nc -w 5 10.0.2.2 {port} </dev/null && echo reached || echo not")
        assert tried.strip() == "not"

        # A script's last words: the answer to this never comes.
        with pytest.raises(GuestError):
            await machine.sh("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger", seconds=20)
        async with asyncio.timeout(30):
            ended = await machine.vm.wait()
        assert (ended.clean, "sysrq triggered crash" in ended.detail) == (False, True)
        assert any("sysrq triggered crash" in notice for notice in machine.recorder.notices)
    listener.close()


@pytest.fixture
def little_space(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 450 MiB."""
    folder = tmp_path / "little"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=450M", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_of_the_host_costs_the_guest_nothing_but_time(
    little_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snowshed.drivers.qemu.stall.LOOK_SECONDS", 0.2)
    async with guest(little_space, system=Arch.X86_64.nix_system, disk_size=2 << 30) as (machine, tasks):
        await machine.boot(tasks)
        hog = little_space / "hog"
        space = os.statvfs(little_space)
        hog.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - 25 * MIB)))

        # The memory does not fit: the guest stays as it was.
        await machine.vm.pause()
        with pytest.raises(GuestError, match="No space left on device") as caught:
            await machine.vm.save(machine.memory_file)
        assert "Make room" in caught.value.hint
        assert not machine.memory_file.exists()
        await machine.vm.resume()
        assert (await machine.sh("echo alive")).strip() == "alive"

        # More is written than fits: the guest stops, and goes on when there is space.
        sums = asyncio.create_task(
            machine.sh(
                "dd if=/dev/urandom of=/run/source bs=1M count=60 2>/dev/null; cp /run/source /data/copy; sync;"
                "echo 3 >/proc/sys/vm/drop_caches; cat /run/source | md5sum; cat /data/copy | md5sum",
                seconds=300,
            )
        )
        await machine.recorder.noticed("disk is full")
        hog.unlink()
        first, second = (await sums).splitlines()
        assert first == second
        assert any("There is space again" in notice for notice in machine.recorder.notices)


async def test_memory_that_was_cut_short_is_refused_and_leaves_nothing_running(tmp_path: Path) -> None:
    async with guest(tmp_path, system=Arch.X86_64.nix_system) as (machine, tasks):
        await machine.boot(tasks)
        await machine.vm.pause()
        await machine.vm.save(machine.memory_file)
        await machine.vm.kill()
        whole = machine.memory_file.read_bytes()
        for name, content in {"half": whole[: len(whole) // 2], "rubbish": b"\x00" * 4096, "nothing": b""}.items():
            machine.memory_file.write_bytes(content)
            with pytest.raises(GuestError, match="The saved memory could not be loaded"):
                await machine.wake(tasks)
            assert qemu_processes() == set(), name


@pytest.mark.parametrize("arch", list(Arch))
async def test_shared_directories_are_what_they_were_said_to_be(tmp_path: Path, arch: Arch) -> None:
    given, taken = tmp_path / "given", tmp_path / "taken, and with a comma"
    given.mkdir()
    taken.mkdir()
    (given / "file").write_text("from the host")
    shares = {"given": ShareConfig(str(given)), "taken": ShareConfig(str(taken), read_only=False)}
    async with guest(tmp_path, system=arch.nix_system, shares=shares) as (machine, tasks):
        able = machine.driver.capabilities(machine.spec)
        assert able.suspend or "given, taken" in able.suspend_blocker
        await machine.boot(tasks)
        assert await machine.sh("cat /mnt/given/file") == "from the host"
        await machine.sh("echo from the guest >/mnt/taken/file")
        assert (taken / "file").read_text() == "from the guest\n"
        with pytest.raises(GuestError):
            await machine.sh("mount -o remount,rw /mnt/given && echo evil >/mnt/given/file")
        with pytest.raises(GuestError):
            await machine.sh("mount -o remount,rw /mnt/given; rm /mnt/given/file")
        assert (given / "file").read_text() == "from the host"

        if able.suspend:
            await _shares_sleep_and_wake(machine, tasks, taken)
        figures = await machine.vm.memory()
        assert set(figures.extra) == {"share given", "share taken"}
        daemons = [daemon.pid for daemon in machine.vm.daemons.values()]
        await machine.vm.kill()
        assert [pid for pid in daemons if exists(pid)] == []


async def _shares_sleep_and_wake(machine: Guest, tasks: asyncio.TaskGroup, folder: Path) -> None:
    """A program goes on writing into a file that it had open, and no hole of the guest's memory was filled."""
    await machine.sh("(while :; do echo x; sleep 0.1; done) >/mnt/taken/log 2>/dev/null </dev/null &")
    await machine.vm.pause()
    before = (await machine.vm.memory()).resident
    await machine.vm.save(machine.memory_file)
    after = (await machine.vm.memory()).resident
    assert before is not None
    assert after is not None
    assert after < before + 100 * MIB
    await machine.vm.kill()
    written = (folder / "log").stat().st_size
    await machine.wake(tasks)
    await machine.vm.resume()
    async with asyncio.timeout(60):
        while (folder / "log").stat().st_size <= written:
            await asyncio.sleep(0.1)
    assert await machine.sh("cat /mnt/given/file") == "from the host"
