"""Starting the VM: cold, or from suspended memory. Either there is a `LiveGuest` afterwards, or nothing is left."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from .. import durable
from ..config import BuilderConfig
from ..drivers.base import Capabilities, Driver, Launch, Vm
from ..errors import GuestError, SnowshedError, UserError
from ..guest.contract import contract
from ..holder import holds
from ..images import gpt
from ..model.machine import MachineSpec
from ..paths import BuilderPaths
from ..state import prepare_runtime
from ..tasks import finish
from . import datadisk
from .clock import set_clock
from .console import Console
from .datadisk import Mark
from .guest import GuestPanickedError, LiveGuest
from .notes import Notes
from .plan import Source, machine_spec
from .seeding import seed_for, settings_digest
from .stages import Stages
from .storage import Lock, identity, prepare_disk

OPEN_TO_CLIENTS = ("boot", "sshd")
"""Stages after which clients are let in: in the guest, what they run waits for the disk and for Nix's daemon."""

AFTER_KILL = 10.0
"""Seconds for the kernel to take down a killed hypervisor."""

LOGS = "`snowshed logs` has what led to it."
HINTS = {
    errno.EACCES: "Make it accessible to the account that the builder runs as.",
    errno.EPERM: "Make it accessible to the account that the builder runs as.",
    errno.EROFS: "Its file system is mounted read-only: mount it writable, or keep the builder elsewhere.",
    errno.EIO: "The disk may be failing: the kernel's log says more.",
}
"""What to do where the operating system refuses a file."""

Reached = Callable[[str], None]


class Launcher:
    """All that stays the same from one start of a builder's VM to the next."""

    def __init__(
        self,
        config: BuilderConfig,
        paths: BuilderPaths,
        source: Source,
        driver: Driver,
        tasks: asyncio.TaskGroup,
        say: Callable[[str], None],
        hears: Mapping[str, Callable[[str], None]] = MappingProxyType({}),
    ) -> None:
        """`hears`: who is called with what follows a mark on a line of the guest's console."""
        self.config = config
        self.paths = paths
        self.source = source
        self.driver = driver
        self.notes = Notes(paths.guest_notes, paths.disk)
        self._tasks = tasks
        self._say = say
        self._hears = hears

    def spec(self) -> MachineSpec:
        """The machine as it would be started now."""
        mac, machine_id = identity(self.paths.mac, self.paths.machine_id)
        return machine_spec(self.config, self.paths, self.source, mac=mac, machine_id=machine_id)

    def mark(self) -> Mark:
        """What the builder's data disk says of whose it is."""
        _, machine_id = identity(self.paths.mac, self.paths.machine_id)
        return Mark(self.paths.name, machine_id)

    def capabilities(self) -> Capabilities:
        return self.driver.capabilities(self.spec())

    def fingerprint(self) -> str:
        """What suspended memory must fit: machine, hypervisor, and the settings that the guest was booted with."""
        return f"{self.driver.fingerprint(self.spec())} {settings_digest(self.config)}"

    async def boot(self, reached: Reached) -> LiveGuest:
        """Boot the guest and return when its sshd answers. Raises `SnowshedError`; nothing runs then.

        A kernel that panics before that gets a second chance. On a busy host, an x86-64 guest that QEMU emulates with
        several threads now and then meets an instruction that its kernel has just rewritten (``Oops: int3``; seen
        here with QEMU 7.2, and by multipath-tcp/mptcp_net-next#471).
        """
        with _worded(self.paths.state):
            try:
                return await self._boot(reached)
            except GuestPanickedError:
                self._say("It is started once more.")
            return await self._boot(reached)

    async def _boot(self, reached: Reached) -> LiveGuest:
        spec = self._prepare()
        self.notes.boots()
        guest = await self._start(spec, reached)
        try:
            await guest.reached(*OPEN_TO_CLIENTS)
            if self.notes.told.clock_guessed:
                await set_clock(guest)
        except BaseException:
            await finish(self._undo(guest), name="undo boot")
            raise
        return guest

    async def restore(self, memory: Path, consume: Callable[[], Awaitable[None]]) -> LiveGuest:
        """Continue from `memory`; `consume` is called before the guest's first instruction. Raises `SnowshedError`."""
        spec = self.spec()
        guest = await self._start(spec, lambda _: None, restore=memory)
        guest.stages.skip()
        try:
            await consume()
            await guest.resume()
        except BaseException:
            await finish(guest.kill(), name="undo resume")
            raise
        return guest

    async def _undo(self, guest: LiveGuest) -> None:
        """End a guest that is half up: gently once it has mounted its disk."""
        if guest.stages.seen("disk") and not guest.ended.done():
            await guest.shut_down(self.config.stop_grace)
        else:
            await guest.kill()

    def _prepare(self) -> MachineSpec:
        prepare_runtime(self.paths)
        spec = self.spec()
        for problem in self.driver.check(spec):
            raise problem
        datadisk.check(self.paths.disk, self.mark(), self.notes.told.disk_id)
        prepare_disk(self.paths.disk, self.config.disk_size)
        if self.source.efi is not None:
            gpt.grow(self.paths.disk)
        seed = seed_for(self.config, self.paths, self.driver.network(spec), now=time.time())
        durable.write(self.paths.seed, seed)
        return spec

    async def _start(self, spec: MachineSpec, reached: Reached, restore: Path | None = None) -> LiveGuest:
        lock = await self._vm_lock()
        stages = Stages(reached)
        echo = sys.stderr.buffer if self.config.verbose else None
        marks = {contract().stage_mark: stages.announce, contract().fact_mark: self.notes.hear, **self._hears}
        console = Console(self.paths.console_log, marks, echo)
        try:
            launch = Launch(
                runtime=self.paths.runtime,
                vm_lock=lock.descriptor,
                tasks=self._tasks,
                console=console.feed,
                log=sys.stderr.fileno(),
                state=self.paths.state,
                notice=self._say,
            )
            vm: Vm = await self.driver.start(spec, launch, restore=restore)
        except BaseException:
            console.close()
            raise
        finally:
            lock.release()
        durable.write(self.paths.vm_pid, f"{vm.pid}\n".encode())
        return LiveGuest(vm, console, stages, self._tasks)

    async def _vm_lock(self) -> Lock:
        """The lock that the hypervisor will hold; ends a VM of ours that a crash has left over."""
        lock = Lock.take(self.paths.vm_lock)
        if lock is not None:
            return lock
        self._end_leftover()
        deadline = asyncio.get_running_loop().time() + AFTER_KILL
        while (lock := Lock.take(self.paths.vm_lock)) is None:  # no event tells when a lock becomes free
            if asyncio.get_running_loop().time() > deadline:
                raise UserError(
                    f"A virtual machine of {self.paths.name} is still running, and it is not ours to end.",
                    f"Find who holds {self.paths.vm_lock} (`fuser` tells) and end it.",
                )
            await asyncio.sleep(0.05)
        return lock

    def _end_leftover(self) -> None:
        with suppress(OSError, ValueError):
            pid = int(self.paths.vm_pid.read_text())
            if holds(pid, self.paths.vm_lock):
                self._say(f"A virtual machine was left over from a crash (process {pid}); it is ended.")
                os.kill(pid, signal.SIGKILL)


def explain(error: BaseException, folder: Path | None = None) -> SnowshedError:
    """Any error of an operation as one with a sentence; `folder` is where it was at work, if its file is not known."""
    if isinstance(error, SnowshedError):
        return error
    if isinstance(error, TimeoutError):
        return GuestError("The guest did not answer in time.", "`snowshed logs --console` has all that it said.")
    if isinstance(error, OSError) and error.strerror:
        return _refused(error, os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else folder)
    return GuestError(f"{type(error).__name__}: {error}", LOGS)


@contextmanager
def _worded(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error, folder) from error


def _refused(error: OSError, where: str | Path | None) -> SnowshedError:
    """What the operating system refused at `where`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f"the disk that holds {where}" if where else "a disk"
        return UserError(
            f"There is no space left on {place}.", "Make room there, and try again; nothing that was built is lost."
        )
    message = f"{where}: {error.strerror}." if where else f"{error.strerror}."
    return GuestError(message, HINTS.get(error.errno or 0, LOGS))
