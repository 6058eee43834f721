"""The command line, understood or refused in QEMU's words."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import sys
from pathlib import Path
from typing import NoReturn

FLAGS = {"-nodefaults", "-no-user-config", "-no-reboot", "-S"}
VALUES = {
    *{"-name", "-uuid", "-display", "-action", "-sandbox", "-machine", "-accel", "-cpu", "-smp", "-m", "-object"},
    *{"-kernel", "-initrd", "-append", "-chardev", "-mon", "-serial", "-device", "-blockdev", "-netdev", "-incoming"},
}
OBJECTS = {
    "memory-backend-ram": {"id", "size"},
    "memory-backend-file": {"id", "size", "share", "mem-path"},
    "rng-builtin": {"id"},
}
COMMON = {"id", "disable-legacy", "bus"}
DEVICES = {
    "virtio-serial-pci": {"max_ports"},
    "virtserialport": {"chardev", "name"},
    "virtio-blk-pci": {"drive", "serial", "werror", "rerror", "bootindex"},
    "virtio-net-pci": {"netdev", "mac", "romfile"},
    "virtio-rng-pci": {"rng"},
    "virtio-balloon-pci": {"free-page-reporting", "deflate-on-oom"},
    "vhost-vsock-pci": {"vhostfd", "guest-cid"},
    "vhost-user-fs-pci": {"chardev", "tag"},
    "pcie-root-port": {"chassis"},
    "pvpanic-pci": set(),
}
MACHINES = {"x86_64": "q35", "aarch64": "virt"}
MACHINE_PROPERTIES = {
    *{"vmport", "smm", "sata", "smbus", "gic-version", "dump-guest-core", "memory-backend", "pflash0", "pflash1"},
    *{"suppress-vmdesc", "hpet", "i8042", "usb"},
}


def die(words: str) -> NoReturn:
    print(f"{sys.argv[0]}: {words}", file=sys.stderr, flush=True)
    sys.exit(1)


def split(value: str) -> tuple[str, dict[str, str]]:
    """``socket,id=x,fd=3`` as its first word and its properties."""
    first, *rest = value.replace(",,", "\0").split(",")
    properties = dict(word.replace("\0", ",").partition("=")[::2] for word in rest)
    return first, properties


class Options:
    """The command line, understood or refused."""

    def __init__(self, program: str, argv: list[str]) -> None:
        self.arch = program.rpartition("qemu-system-")[2]
        self.chardevs: dict[str, socket.socket] = {}
        self.nodes: dict[str, dict[str, object]] = {}
        self.files: list[int] = []
        self.ids: dict[str, set[str]] = {"object": set(), "netdev": set(), "device": set()}
        self.monitor: socket.socket
        self.console: socket.socket
        self.agent: socket.socket
        self.guest_port = 0
        self.incoming = self.stopped = False
        self.machine = ""
        self.memory_backend = ""
        words = iter(argv)
        for option in words:
            if option in FLAGS:
                self.stopped |= option == "-S"
            elif option in VALUES:
                value = next(words, None)
                if value is None:
                    die(f"{option}: requires an argument")
                getattr(self, f"take_{option[1:]}", lambda _: None)(value)
            else:
                die(f"{option}: invalid option")
        if not self.machine:
            die("No machine specified, and there is no default")
        if self.memory_backend not in self.ids["object"]:
            die(f"Memory backend '{self.memory_backend}' not found")

    def take_machine(self, value: str) -> None:
        name, properties = split(value)
        if "=" in name:
            name, properties = self.machine, {name.partition("=")[0]: name.partition("=")[2], **properties}
        if name != MACHINES[self.arch]:
            die("unsupported machine type\nUse -machine help to list supported machines")
        for unknown in set(properties) - MACHINE_PROPERTIES:
            die(f"Property '{name}-machine.{unknown}' not found")
        self.machine = name
        self.memory_backend = properties.get("memory-backend", self.memory_backend)

    def take_accel(self, value: str) -> None:
        if split(value)[0] != "tcg":
            die(f"-accel {value}: invalid accelerator {split(value)[0]}")

    def take_kernel(self, value: str) -> None:
        if not Path(value).is_file():
            die(f"could not open kernel file '{value}': No such file or directory")

    def take_initrd(self, value: str) -> None:
        if not Path(value).is_file():
            die(f"could not load initrd '{value}'")

    def take_object(self, value: str) -> None:
        kind, properties = split(value)
        if kind not in OBJECTS or not set(properties) <= OBJECTS[kind]:
            die(f"-object {value}: Parameter 'qom-type' does not accept value '{kind}'")
        self.ids["object"].add(properties["id"])

    def take_chardev(self, value: str) -> None:
        kind, properties = split(value)
        if kind != "socket" or set(properties) != {"id", "fd"}:
            die(f"-chardev {value}: this stand-in knows connected sockets only")
        descriptor = int(properties["fd"])
        try:
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:
            is_socket = False
        if not is_socket:
            die(f"-chardev {value}: File descriptor '{descriptor}' is not a socket")
        self.chardevs[properties["id"]] = socket.socket(fileno=descriptor)

    def chardev(self, option: str, name: str) -> socket.socket:
        if name not in self.chardevs:
            die(f'{option}: chardev "{name}" not found')
        return self.chardevs[name]

    def take_mon(self, value: str) -> None:
        name, _ = split(value)
        if "mode=control" not in value:
            die(f"-mon {value}: this stand-in speaks QMP only")
        self.monitor = self.chardev(f"-mon {value}", name.partition("=")[2])

    def take_serial(self, value: str) -> None:
        self.console = self.chardev(f"-serial {value}", value.removeprefix("chardev:"))

    def take_blockdev(self, value: str) -> None:
        node = json.loads(value)
        for level in (node, node["file"]):
            known = {"driver", "node-name", "file", "filename", "read-only", "discard", "cache"}
            for unknown in set(level) - known:
                die(f"-blockdev {value}: Parameter '{unknown}' is unexpected")
            if level["cache"].get("no-flush"):
                die(f"-blockdev {value}: a builder's disk without flushes")
        path, read_only = node["file"]["filename"], node["read-only"]
        try:
            descriptor = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
        except OSError as error:
            die(f"-blockdev {value}: Could not open '{path}': {error.strerror}")
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            die(f'-blockdev {value}: Failed to get "write" lock\nIs another process using the image [{path}]?')
        self.files.append(descriptor)
        self.nodes[node["node-name"]] = node

    def take_netdev(self, value: str) -> None:
        kind, properties = split(value)
        known = {"id", "ipv6", "restrict", "hostfwd"}
        if kind != "user" or not set(properties) <= known:
            die(f"-netdev {value}: Invalid parameter '{next(iter(set(properties) - known), kind)}'")
        self.ids["netdev"].add(properties["id"])
        protocol, address, rest = properties["hostfwd"].split(":", 2)
        host_port, _, guest = rest.partition("-")
        if protocol != "tcp" or address != "127.0.0.1":
            die(f"-netdev {value}: Could not set up host forwarding rule: not on the loopback")
        self.guest_port = int(guest.rpartition(":")[2])
        if host_port != "0":
            die(f"-netdev {value}: this stand-in picks the port itself")

    def take_device(self, value: str) -> None:
        name, properties = split(value)
        if name not in DEVICES:
            die(f"-device {value}: '{name}' is not a valid device model name")
        for unknown in set(properties) - DEVICES[name] - COMMON:
            die(f"-device {value}: Property '{name}.{unknown}' not found")
        for key, known in (("drive", set(self.nodes)), ("netdev", self.ids["netdev"]), ("rng", self.ids["object"])):
            if key in properties and properties[key] not in known:
                die(f"-device {value}: Property '{name}.{key}' can't find value '{properties[key]}'")
        if name == "virtserialport":
            if properties["name"] != "org.qemu.guest_agent.0":
                die(f"-device {value}: nobody listens there")
            self.agent = self.chardev(f"-device {value}", properties["chardev"])
        self.ids["device"].add(properties.get("id", name))

    def take_incoming(self, value: str) -> None:
        if value != "defer":
            die(f"-incoming {value}: unknown migration protocol: {value}")
        self.incoming = True
