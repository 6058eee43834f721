"""The seam between the supervisor and what runs a VM.

A `Driver` knows its host and starts machines; only a live `Vm` can be stopped, reached or measured. Being able to
pause and to suspend are protocols of their own that a `Vm` has or has not: nothing answers "not implemented".
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..errors import SnowshedError
from ..model.machine import MachineSpec


@dataclass(frozen=True)
class Capabilities:
    """What a driver can do for one spec on this host.

    `accelerator` is what will execute the guest, `accelerator_reason` why; `suspend_blocker` is the device or reason
    that forbids suspending, for people; empty where `suspend` is true.
    """

    accelerator: str
    accelerator_reason: str = ""
    pause: bool = False
    suspend: bool = False
    suspend_blocker: str = ""
    saves_in_order: bool = False
    """Memory is saved from the file's beginning to its end, and nothing of it twice."""
    vsock: bool = False
    shares: bool = False
    rosetta: bool = False
    nested: bool = False
    efi: bool = False
    reclaims: bool = False
    """What the guest frees while it runs is the host's again."""


@dataclass(frozen=True)
class GuestNetwork:
    """How the guest configures its network card: a static address where the driver knows one, else DHCP."""

    mode: str
    """``static``, ``dhcp`` or ``none``"""
    address: str = ""
    """with prefix length: ``10.0.2.15/24``"""
    gateway: str = ""
    nameserver: str = ""


@dataclass(frozen=True)
class Launch:
    """What a driver needs besides the spec to start a VM.

    `runtime` is a directory with a short path for sockets; `vm_lock` a descriptor of the locked ``vm.lock`` that the
    hypervisor process alone inherits; `console` takes the guest's console output as it comes; `tasks` owns every
    task of the VM; `log` is the descriptor for the hypervisor's own messages. `state` is the builder's state
    directory, for what a driver must keep from one start to the next (its machine's identity) and for ``guest-ip``;
    None keeps nothing. `notice` takes a sentence about something that happened to the VM, for the journal.
    """

    runtime: Path
    vm_lock: int
    tasks: asyncio.TaskGroup
    console: Callable[[bytes], None]
    log: int
    state: Path | None = None
    notice: Callable[[str], None] = lambda sentence: None


@dataclass(frozen=True)
class Exit:
    """How a VM ended. `clean`: the guest powered itself off or was asked to; `detail` is for people; `panicked`: the
    guest's kernel gave up."""

    clean: bool
    detail: str
    panicked: bool = False


@dataclass(frozen=True)
class MemoryFigures:
    """Bytes: what the hypervisor holds of the host's memory, shared pages included; None where unknown."""

    resident: int | None = None
    extra: dict[str, int] = field(default_factory=dict)


class Vm(ABC):
    """A live virtual machine. Every method may be called at any time until `wait` has returned."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The hypervisor's process id."""

    @abstractmethod
    async def wait(self) -> Exit:
        """Return when the hypervisor process is gone and everything it used is released. May be awaited often."""

    @abstractmethod
    async def request_stop(self) -> None:
        """Press the power button. Returns at once; a guest without such a button ignores it."""

    @abstractmethod
    async def kill(self) -> None:
        """Pull the plug and return when the process is gone. Not stopped by cancellation."""

    @abstractmethod
    async def connect(self, port: int) -> socket.socket:
        """A connected, non-blocking stream socket to the guest's TCP (or vsock) `port`.

        Raises `GuestError` or `OSError` when nothing listens there. Behind a user-mode network the connection is
        accepted even so, and ends without a byte.
        """

    @abstractmethod
    async def agent(self) -> socket.socket:
        """The channel to qemu-guest-agent, connected. One user at a time. Raises `GuestError`."""

    @abstractmethod
    async def memory(self) -> MemoryFigures:
        """What the VM costs the host just now."""


@runtime_checkable
class Pausable(Protocol):
    """A VM whose processors can be stopped and continued."""

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


@runtime_checkable
class Suspendable(Pausable, Protocol):
    """A VM whose memory can be written to a file."""

    async def save(self, file: Path) -> None:
        """Write the memory of the paused VM into `file` (new). The VM stays paused.

        Raises `GuestError`; the VM can then be resumed.
        """


class Driver(ABC):
    """One way to run VMs on this host. Instances are cheap and keep no state of a VM."""

    name: str
    chosen: str = ""
    """Why it is this driver, where that was a choice: for people."""

    @abstractmethod
    def capabilities(self, spec: MachineSpec) -> Capabilities:
        """What this host can do for `spec`. May run short probes, and may block for a second."""

    @abstractmethod
    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        """What stands against starting `spec` here; touches nothing."""

    @abstractmethod
    def network(self, spec: MachineSpec) -> GuestNetwork:
        """What the guest is to configure its network card with."""

    @abstractmethod
    def fingerprint(self, spec: MachineSpec) -> str:
        """A text that changes when memory saved from `spec` would not fit any more; it names the hypervisor."""

    @abstractmethod
    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> Vm:
        """Start the VM; with `restore` load its memory from that file and leave it paused.

        Raises `GuestError` with what the hypervisor said; nothing is left running then.
        """
