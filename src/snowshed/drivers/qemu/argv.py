"""The command line of a QEMU, from a spec and from what was found out about the host. Pure.

Options are those of QEMU 7.0 and later (``docs/system/qemu-manpage``, ``qemu-system-x86_64 -device X,help``).
Everything is virtio over PCI without its legacy half, no default device exists, and no file is opened that the spec
does not name: monitor, console and agent are connected sockets that the process inherits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from ...guest.contract import contract
from ...model.machine import Accelerator, Arch, Disk, EfiBoot, LinuxBoot, MachineSpec, Network
from ...units import MIB

GUEST_ADDRESS = "10.0.2.15"
"""The first address that QEMU's user network gives out, and the one its port forward leads to."""

CONSOLES = {Arch.X86_64: "ttyS0", Arch.AARCH64: "ttyAMA0"}

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True)
class Firmware:
    """UEFI firmware: its code, and the variables it starts with (the spec names the builder's own copy)."""

    code: Path
    template: Path


@dataclass(frozen=True)
class Engine:
    """The QEMU that will run the spec: the program, its version, what executes the guest, and on which system."""

    program: str
    version: tuple[int, int, int]
    accelerator: Accelerator
    platform: str = "linux"
    firmware: Firmware | None = None


@dataclass(frozen=True)
class Wiring:
    """Descriptors, open in the QEMU process under these numbers."""

    monitor: int
    console: int
    agent: int
    shares: Mapping[str, int] = field(default_factory=dict)
    """by tag: a socket connected to that share's virtiofsd"""
    ram: int | None = None
    """a memory file, which the guest's memory is to be: for shares"""
    vsock: tuple[int, int] | None = None
    """an open ``/dev/vhost-vsock`` and the context id that was claimed with it"""


def arguments(spec: MachineSpec, engine: Engine, wiring: Wiring, *, incoming: bool = False) -> list[str]:
    """The whole command line. With `incoming` the VM waits, paused, for the memory to load."""
    return [
        engine.program,
        *_machine(spec, engine),
        *_memory(spec, wiring),
        *_boot(spec, engine),
        *_channels(wiring),
        *(word for disk in spec.disks for word in _disk(disk, first=disk is _first(spec))),
        *_network(spec, wiring),
        *_devices(),
        *_shares(spec, wiring),
        *(["-S", "-incoming", "defer"] if incoming else []),
    ]


def cpu(spec: MachineSpec, engine: Engine) -> str:
    """The processor: the host's own where it executes the guest, else all that QEMU can emulate.

    The architecture's algorithm of pointer authentication costs an emulated arm64 half its speed; ``impdef`` is QEMU's
    own, for whoever boots a kernel with a command line of its own: ours does without.
    """
    if engine.accelerator is not Accelerator.TCG:
        return "host"
    return "max,pauth-impdef=on" if spec.arch is Arch.AARCH64 else "max"


def kernel_command_line(spec: MachineSpec, boot: LinuxBoot, engine: Engine) -> str:
    """The spec's own command line, and what the machine needs: its console, and an end where the kernel panics.

    ``panic=-1`` restarts at once, and `-no-reboot` makes an exit of that. The mitigations are against neighbours on
    a real processor: under emulation they protect nobody, and cost. Nor is an emulated machine a boundary that hidden
    addresses would help, and QEMU before 8 translates a library anew for each address that it is met at. The others
    spare an emulated clock its checks, and an emulated arm64 the signing of return addresses (a tenth of all that QEMU
    does then; instructions for it stay valid) and a map of its memory page by page (``rodata=full``, the default there;
    ``on`` is what x86 has).
    """
    words = [boot.cmdline, f"console={CONSOLES[spec.arch]}", "panic=-1"]
    if engine.accelerator is Accelerator.TCG:
        words.append("mitigations=off norandmaps")
        if spec.arch is Arch.X86_64:
            words.append("tsc=reliable no_timer_check")
        else:
            words.append("arm64.nopauth rodata=on")
    return " ".join(word for word in words if word)


def _machine(spec: MachineSpec, engine: Engine) -> list[str]:
    machine = "q35,vmport=off,smm=off,sata=off,smbus=off" if spec.arch is Arch.X86_64 else _virt(engine)
    tcg = ",thread=multi" if engine.accelerator is Accelerator.TCG else ""
    sandbox = ["-sandbox", _SANDBOX] if engine.platform == "linux" else []
    return [
        *["-name", spec.name, "-uuid", str(UUID(spec.machine_id))],
        *["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
        *["-action", "panic=shutdown", *sandbox],
        *["-machine", f"{machine},dump-guest-core=off,memory-backend=ram"],
        *["-accel", f"{engine.accelerator}{tcg}", "-cpu", cpu(spec, engine), "-smp", str(spec.cores)],
    ]


def _memory(spec: MachineSpec, wiring: Wiring) -> list[str]:
    size = f"{spec.memory // MIB}M"
    kind = "memory-backend-ram,id=ram"
    if wiring.ram is not None:
        kind = f"memory-backend-file,id=ram,share=on,mem-path=/proc/self/fd/{wiring.ram}"
    return ["-object", f"{kind},size={size}", "-m", size]


def _virt(engine: Engine) -> str:
    """The arm64 machine. Its default interrupt controller ends at eight processors; under HVF the newer one came
    with QEMU 8.0."""
    if engine.accelerator is Accelerator.HVF:
        return "virt,gic-version=3" if engine.version >= (8, 0, 0) else "virt"
    return "virt,gic-version=max"


def _boot(spec: MachineSpec, engine: Engine) -> list[str]:
    if isinstance(spec.boot, EfiBoot):
        assert engine.firmware is not None, "check() refuses EFI without firmware"
        return [
            *_blockdev("efi-code", engine.firmware.code, read_only=True),
            *_blockdev("efi-variables", spec.boot.variables, read_only=False),
            *["-machine", "pflash0=efi-code,pflash1=efi-variables"],
        ]
    command_line = kernel_command_line(spec, spec.boot, engine)
    return ["-kernel", str(spec.boot.kernel), "-initrd", str(spec.boot.initrd), "-append", command_line]


def _channels(wiring: Wiring) -> list[str]:
    return [
        *["-chardev", f"socket,id=monitor,fd={wiring.monitor}", "-mon", "chardev=monitor,mode=control"],
        *["-chardev", f"socket,id=console,fd={wiring.console}", "-serial", "chardev:console"],
        *["-device", "virtio-serial-pci,id=channels,disable-legacy=on,max_ports=2"],
        *["-chardev", f"socket,id=agent,fd={wiring.agent}"],
        *["-device", f"virtserialport,bus=channels.0,chardev=agent,name={contract().agent_channel}"],
    ]


def _first(spec: MachineSpec) -> Disk | None:
    """The disk that firmware boots."""
    if not isinstance(spec.boot, EfiBoot):
        return None
    named = (disk for disk in spec.disks if disk.serial == contract().disks.root)
    return next(named, spec.disks[0] if spec.disks else None)


def _disk(disk: Disk, *, first: bool) -> list[str]:
    """A disk whose guest is told of no write that is not safe, and that stops the VM when the host's disk is full.

    Writes go through the host's page cache; a flush by the guest is a flush there (``cache.no-flush`` is off).
    """
    device = f"virtio-blk-pci,id=disk-{disk.serial},drive={disk.serial},serial={disk.serial},disable-legacy=on"
    device += "" if disk.read_only else ",werror=stop,rerror=stop"
    device += ",bootindex=0" if first else ""
    return [*_blockdev(disk.serial, disk.path, read_only=disk.read_only), "-device", device]


def _blockdev(node: str, path: Path, *, read_only: bool) -> list[str]:
    """A raw file as the block device `node`. JSON, because a path may hold a comma."""
    cache = {"direct": False, "no-flush": False}
    common = {"read-only": read_only, "discard": "ignore" if read_only else "unmap", "cache": cache}
    file = {"driver": "file", "filename": str(path), **common}
    return ["-blockdev", json.dumps({"driver": "raw", "node-name": node, "file": file, **common})]


def _network(spec: MachineSpec, wiring: Wiring) -> list[str]:
    words: list[str] = []
    if wiring.vsock is not None:
        descriptor, context = wiring.vsock
        words = ["-device", f"vhost-vsock-pci,vhostfd={descriptor},guest-cid={context},disable-legacy=on"]
        if spec.network is Network.NONE:
            return words
    restrict = "off" if spec.network is Network.NAT else "on"
    forward = f"hostfwd=tcp:127.0.0.1:0-{GUEST_ADDRESS}:{contract().ports.ssh}"
    return [
        *words,
        *["-netdev", f"user,id=net,ipv6=off,restrict={restrict},{forward}"],
        *["-device", f"virtio-net-pci,netdev=net,mac={spec.mac},romfile=,disable-legacy=on"],
    ]


def _devices() -> list[str]:
    return [
        *["-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng,disable-legacy=on"],
        *["-device", "virtio-balloon-pci,id=balloon,free-page-reporting=on,deflate-on-oom=on,disable-legacy=on"],
        *["-device", "pvpanic-pci"],
    ]


def _shares(spec: MachineSpec, wiring: Wiring) -> list[str]:
    """Each share on a port of its own, which is what can be unplugged."""
    words: list[str] = []
    for number, share in enumerate(spec.shares, start=1):
        words += [
            *["-device", f"pcie-root-port,id=port{number},chassis={number}"],
            *["-chardev", f"socket,id=share{number},fd={wiring.shares[share.tag]}"],
            *["-device", f"vhost-user-fs-pci,id=share-{number},bus=port{number},chardev=share{number},tag={share.tag}"],
        ]
    return words
