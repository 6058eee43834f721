"""Real guests for tests: an image, a builder's files in a temporary folder, and a VM of the QEMU driver.

Images come from the user's cache and are built where they are missing, as `snowshed start` would.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from specs import Recorder

from snowshed import durable
from snowshed.config import BuilderConfig
from snowshed.drivers.base import Vm
from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.drivers.qemu.vm import QemuVm
from snowshed.guest.agent import Agent
from snowshed.images.store import ensure
from snowshed.model.machine import Arch, MachineSpec
from snowshed.paths import BuilderPaths
from snowshed.ssh.config import alias
from snowshed.ssh.keys import ensure_keys, write_ssh_config
from snowshed.supervisor.plan import image_source, machine_spec
from snowshed.supervisor.seeding import seed_for
from snowshed.supervisor.storage import prepare_disk
from snowshed.units import GIB, MIB

BOOT_SECONDS = 240
SMALL = {"memory": 768 * MIB, "cores": 1, "disk_size": 8 * GIB}


class Guest:
    """A builder's files, and its VM while it runs."""

    def __init__(self, folder: Path, config: BuilderConfig) -> None:
        self.driver = QemuDriver()
        self.config = config
        self.paths = BuilderPaths("test", folder / "state")
        self.paths.state.mkdir(parents=True, exist_ok=True)
        ensure_keys(self.paths)
        self.spec: MachineSpec = machine_spec(
            config,
            self.paths,
            image_source(ensure(config.arch).path),
            mac="52:54:00:12:34:56",
            machine_id="0123456789abcdef0123456789abcdef",
        )
        self.vm: QemuVm
        self.recorder: Recorder

    @property
    def memory_file(self) -> Path:
        return self.paths.suspend_state

    async def boot(self, tasks: asyncio.TaskGroup, until: str = "nix") -> None:
        """Boot, and return at the stage `until`: by default when the guest's Nix daemon answers."""
        prepare_disk(self.paths.disk, self.config.disk_size)
        seed = seed_for(self.config, self.paths, self.driver.network(self.spec), now=time.time())
        durable.write(self.paths.seed, seed)
        assert [str(problem) for problem in self.driver.check(self.spec)] == []
        self.recorder = Recorder(self.paths.state, tasks)
        self.vm = await self.driver.start(self.spec, self.recorder.launch)
        await self._unless_it_ends(self.recorder.heard(f"snowshed-stage: {until}".encode()))

    async def wake(self, tasks: asyncio.TaskGroup) -> None:
        """Continue from `memory_file`, still paused."""
        self.recorder = Recorder(self.paths.state, tasks)
        self.vm = await self.driver.start(self.spec, self.recorder.launch, restore=self.memory_file)

    async def agent(self) -> Agent:
        return await Agent.connect(await self.vm.agent(), seconds=60)

    async def run(self, *argv: str, **more: Any) -> str:
        """What a program prints that runs in the guest as root."""
        agent = await self.agent()
        try:
            return await agent.run(argv, **more)
        finally:
            await agent.close()

    async def sh(self, script: str, **more: Any) -> str:
        return await self.run("/bin/sh", "-c", script, **more)

    async def ssh_options(self) -> list[str]:
        """The options of an ssh that reaches this guest and no other: its host key is pinned."""
        with await self.vm.connect(22) as peer:
            write_ssh_config(self.paths, peer.getpeername()[1])
        return ["-F", str(self.paths.ssh_config)]

    async def ssh(self, command: str) -> str:
        """What `command` prints over SSH."""
        argv = ["ssh", *await self.ssh_options(), alias(self.paths.name), command]
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def shut_down(self) -> None:
        """Ask the guest to go, and see that it does."""
        agent = await self.agent()
        await agent.shutdown()
        async with asyncio.timeout(60):
            ended = await self.vm.wait()
        await agent.close()
        assert ended.clean, ended.detail

    async def _unless_it_ends(self, event: Any) -> None:
        waiting, ended = asyncio.ensure_future(event), asyncio.ensure_future(self.vm.wait())
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise AssertionError(f"it does not boot: …{self.console_tail}") from None
        finally:
            waiting.cancel()
            ended.cancel()
        assert not self._gone(), f"it ended: {self.console_tail}"

    def _gone(self) -> bool:
        return not Path(f"/proc/{self.vm.pid}").exists()

    @property
    def console_tail(self) -> str:
        return self.recorder.console.decode(errors="replace")[-1500:]


@asynccontextmanager
async def guest(folder: Path, **config: Any) -> AsyncIterator[tuple[Guest, asyncio.TaskGroup]]:
    """A builder that is not started yet, and the group that owns its VM's tasks. Nothing is left running."""
    settings = msgspec.structs.replace(BuilderConfig(), **{**SMALL, **config})
    async with asyncio.timeout(900), asyncio.TaskGroup() as tasks:
        machine = Guest(folder, settings)
        try:
            yield machine, tasks
        finally:
            vm: Vm | None = getattr(machine, "vm", None)
            if vm is not None:
                await vm.kill()
            if hasattr(machine, "recorder"):
                machine.recorder.close()


def put_busybox(folder: Path, arch: Arch) -> Path:
    """A folder with a static busybox for `arch`: the one of the image's initrd, a ``newc`` cpio archive."""
    archive = ensure(arch).boot.initrd.read_bytes()
    place = 0
    while True:
        size, name_size = (int(archive[place + at : place + at + 8], 16) for at in (54, 94))
        name = archive[place + 110 : place + 110 + name_size - 1].decode()
        place = -(-(place + 110 + name_size) // 4) * 4
        if name == "bin/busybox":
            break
        assert name != "TRAILER!!!", "the initrd has no busybox"
        place = -(-(place + size) // 4) * 4
    folder.mkdir()
    program = folder / "busybox"
    program.write_bytes(archive[place : place + size])
    program.chmod(0o755)
    return folder


def qemu_processes() -> set[int]:
    """The QEMUs that are descendants of this process."""
    children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return {int(line.split()[0]) for line in children.stdout.splitlines() if "qemu" in line}
