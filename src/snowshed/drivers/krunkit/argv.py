"""The command line of krunkit. Pure.

Facts are from krunkit's own source, 1.2.0 and 1.2.1: it looks like vfkit's and is stricter. A device is split at
every comma and at every ``=``, without quoting; the card needs a ``mac`` and has no NAT; disks are always writable;
only EFI images boot, by firmware of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import SnowshedError, UserError
from ...guest.contract import contract
from ...model.machine import LinuxBoot, MachineSpec
from ...units import MIB
from ..vfkit.argv import Places, comma_problems, share_problems, vsock_ports

LEAST_VERSION = (1, 2, 0)
"""The first whose ``virtio-vsock,…,connect`` leads from the host into the guest."""
MOST_MEMORY = 61440 * MIB
UPGRADE = "Update it, for example with `brew upgrade krunkit`."


def arguments(program: str, spec: MachineSpec, places: Places, *, card: int | None) -> list[str]:
    """The whole command line. `card` is the descriptor of the guest's network card, where it has one."""
    return [
        program,
        *["--cpus", str(spec.cores), "--memory", str(spec.memory // MIB)],
        *(word for device in devices(spec, places, card=card) for word in ("--device", device)),
        *["--restful-uri", f"unix://{places.rest}"],
        *(["--nested"] if spec.nested else []),
    ]


def devices(spec: MachineSpec, places: Places, *, card: int | None) -> Iterator[str]:
    """The values of ``--device``. The first disk is the one that boots; none has a serial."""
    seed = contract().disks.seed
    for disk in sorted(spec.disks, key=lambda disk: disk.serial == seed):
        yield f"virtio-blk,path={disk.path},format=raw"
    if card is not None:
        yield f"virtio-net,type=unixgram,fd={card},mac={spec.mac}"
    for share in spec.shares:
        yield f"virtio-fs,sharedDir={share.path},mountTag={share.tag}"
    for port in vsock_ports():
        yield f"virtio-vsock,port={port},socketURL={places.vsock(port)},connect"
    yield f"virtio-serial,logFilePath={places.console}"
    yield "virtio-rng"


def problems(spec: MachineSpec, *, version: tuple[int, ...], writable: Callable[[Path], bool]) -> list[SnowshedError]:
    """What krunkit of `version` (() where unknown: taken for a new one) cannot do of `spec`."""
    found: list[SnowshedError] = []
    if version and version < LEAST_VERSION:
        found.append(UserError(f"krunkit {'.'.join(map(str, version))} is too old: 1.2.0 is needed.", UPGRADE))
    if isinstance(spec.boot, LinuxBoot):
        found.append(
            UserError("krunkit boots EFI images only.", "Make one with `snowshed image build --efi`, or use vz.")
        )
    if spec.rosetta:
        found.append(UserError("krunkit has no Rosetta.", "Use the driver vz or vfkit, or qemu-user in the guest."))
    if spec.memory > MOST_MEMORY:
        found.append(UserError("krunkit gives a VM at most 60 GiB.", "Give less --memory."))
    seed = contract().disks.seed
    for disk in spec.disks:
        if disk.read_only and disk.serial != seed:
            found.append(UserError(f"krunkit cannot keep {disk.path} from being written.", "Use the driver vz."))
    paths = [*(disk.path for disk in spec.disks), *(share.path for share in spec.shares)]
    found += comma_problems("krunkit", iter(paths))
    found += [
        UserError(f"krunkit cannot be given a path with = in it: {path}.", "Move or rename it.")
        for path in paths
        if "=" in str(path)
    ]
    return [*found, *share_problems("krunkit", spec, writable)]
