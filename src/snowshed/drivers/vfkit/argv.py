"""The command line of vfkit. Pure.

Facts are from vfkit's own source (``cmd/vfkit``, ``pkg/config``), versions 0.6.0 to 0.6.4, where it differs from
``doc/usage.md``: a ``--device`` is split at every comma and has no quoting; a boolean flag takes no separate word;
``create`` of a variable store overwrites an existing one; a network card without ``nat``, ``fd`` or a socket is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...errors import SnowshedError, UserError
from ...guest.contract import contract
from ...model.machine import LinuxBoot, MachineSpec, Network
from ...paths import SOCKET_PATH_LIMIT
from ...units import MIB

LEAST_VERSION = (0, 6, 0)
NESTED_FROM = (0, 6, 2)
BALLOON_FROM = (0, 6, 1)
CONSOLE = "hvc0"
UPGRADE = "Update it, for example with `brew upgrade vfkit`."

_PLAIN = re.compile(r"[A-Za-z0-9/._-]+", re.ASCII)


@dataclass(frozen=True)
class Places:
    """Where a VM's sockets and files lie. All are in one directory with a short, plain path."""

    folder: Path

    @property
    def rest(self) -> Path:
        return self.folder / "rest.sock"

    @property
    def console(self) -> Path:
        """The file that the guest's console is written to, anew at each start."""
        return self.folder / "serial.log"

    @property
    def messages(self) -> Path:
        """What the program itself says."""
        return self.folder / "hypervisor.log"

    def vsock(self, port: int) -> Path:
        """The host's end of the guest's vsock `port`."""
        return self.folder / f"vsock-{port}.sock"

    @property
    def sockets(self) -> tuple[Path, ...]:
        return (self.rest, *(self.vsock(port) for port in vsock_ports()))


def vsock_ports() -> tuple[int, ...]:
    """The guest's vsock ports that the host may want: SSH and the agent."""
    return (contract().ports.ssh, contract().ports.agent)


def version_in(text: str) -> tuple[int, ...]:
    """The version in ``vfkit version: v0.6.4``; () where there is none, as in a build from a source tree."""
    match = re.search(r"\bv?(\d{1,5})\.(\d{1,5})\.(\d{1,5})", text, re.ASCII)
    return tuple(int(part) for part in match.groups()) if match else ()


@dataclass(frozen=True)
class Found:
    """What the host has: the program's version (() where unknown: taken for a new one), whether the variable store
    exists already, and the descriptor of a network card whose packets go nowhere, where one is wanted.
    """

    version: tuple[int, ...] = ()
    variables: bool = False
    card: int | None = None


def arguments(program: str, spec: MachineSpec, places: Places, found: Found) -> list[str]:
    """The whole command line."""
    return [
        program,
        *["--cpus", str(spec.cores), "--memory", str(spec.memory // MIB)],
        *_boot(spec, found),
        *(word for device in devices(spec, places, found) for word in ("--device", device)),
        *["--restful-uri", f"unix://{quote(str(places.rest))}"],
        *(["--nested"] if spec.nested else []),
    ]


def _boot(spec: MachineSpec, found: Found) -> list[str]:
    """A kernel through the three older options: their values are taken whole, commas and quotes included."""
    boot = spec.boot
    if isinstance(boot, LinuxBoot):
        command_line = f"{boot.cmdline} console={CONSOLE}".strip()
        return ["--kernel", str(boot.kernel), "--initrd", str(boot.initrd), "--kernel-cmdline", command_line]
    create = [] if found.variables else ["create"]
    return ["--bootloader", ",".join(["efi", f"variable-store={boot.variables}", *create])]


def devices(spec: MachineSpec, places: Places, found: Found) -> Iterator[str]:
    """The values of ``--device``, in the order in which the guest finds them."""
    for disk in spec.disks:
        yield f"virtio-blk,path={disk.path},deviceId={disk.serial}" + (",readonly" if disk.read_only else "")
    if spec.network is Network.NAT:
        yield f"virtio-net,nat,mac={spec.mac}"
    elif found.card is not None:
        yield f"virtio-net,fd={found.card},mac={spec.mac}"
    for share in spec.shares:
        yield f"virtio-fs,sharedDir={share.path},mountTag={share.tag}"
    if spec.rosetta:
        yield f"rosetta,mountTag={contract().shares.rosetta}"
    for port in vsock_ports():
        yield f"virtio-vsock,port={port},socketURL={places.vsock(port)},connect"
    yield f"virtio-serial,logFilePath={places.console}"
    yield "virtio-rng"
    if not found.version or found.version >= BALLOON_FROM:
        yield "virtio-balloon"


def problems(spec: MachineSpec, *, version: tuple[int, ...], writable: Callable[[Path], bool]) -> list[SnowshedError]:
    """What vfkit of `version` cannot do of `spec`, or cannot be told on its command line.

    `writable` tells whether the user who runs vfkit, and so the guest, may write in a directory.
    """
    found: list[SnowshedError] = []
    if version and version < LEAST_VERSION:
        found.append(UserError(f"vfkit {_dotted(version)} is too old: {_dotted(LEAST_VERSION)} is needed.", UPGRADE))
    if spec.nested and version and version < NESTED_FROM:
        found.append(
            UserError(f"vfkit {_dotted(version)} has no nested virtualisation: {_dotted(NESTED_FROM)} does.", UPGRADE)
        )
    found += comma_problems("vfkit", _paths_in_lists(spec))
    found += share_problems("vfkit", spec, writable)
    return found


def share_problems(program: str, spec: MachineSpec, writable: Callable[[Path], bool]) -> list[SnowshedError]:
    """One error for each read-only share: `program` has none, and the guest may do whatever its user may.

    The host's Nix store passes where that user may not write in it: nothing in a store is writable below its top.
    """
    store = contract().shares.nix_store
    return [
        UserError(
            f"{program} cannot share {share.path} read-only: the guest could write there.",
            "Use the driver vz, which can, or set the share's read_only to false if that is what you want.",
        )
        for share in spec.shares
        if share.read_only and not (share.tag == store and not writable(share.path))
    ]


def _paths_in_lists(spec: MachineSpec) -> Iterator[Path]:
    yield from (disk.path for disk in spec.disks)
    yield from (share.path for share in spec.shares)
    if not isinstance(spec.boot, LinuxBoot):
        yield spec.boot.variables


def comma_problems(program: str, paths: Iterator[Path]) -> list[SnowshedError]:
    """One error for each path that cannot be written on the command line, where a comma begins the next option."""
    return [
        UserError(f"{program} cannot be given a path with a comma in it: {path}.", "Move or rename it.")
        for path in paths
        if "," in str(path)
    ]


def socket_problems(places: Places, *, program: str) -> list[SnowshedError]:
    """What is wrong with the paths of the sockets: they are read as addresses, and macOS takes 103 bytes of them."""
    for path in places.sockets:
        text = str(path)
        if len(text.encode()) > SOCKET_PATH_LIMIT or not _PLAIN.fullmatch(text):
            return [
                UserError(
                    f"{program} cannot have a socket at {path}.",
                    "Choose a --state-dir with a short path of plain letters, digits, dots and dashes.",
                )
            ]
    return []


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
