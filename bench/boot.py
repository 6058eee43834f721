"""How long a start takes to the guest's SSH banner, as a multiple of the floor, for both architectures.

    python bench/boot.py [ROUNDS]

The floor is QEMU, with the same devices, booting the same kernel into an init that powers off. A start is the whole
command: `snowshed start`, its supervisor, the guest, and the banner through the forwarded port. Floor and start
alternate within one run; the figures are medians. The target is 1.5.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from command import free_port
from real import RealPlace  # the tests' way to run the real command in a home of its own
from snowshed import process
from snowshed.drivers.base import Launch
from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.images import initrd
from snowshed.images.apt import PrivateApt
from snowshed.images.store import Image, ensure
from snowshed.model.machine import Arch, LinuxBoot, MachineSpec
from snowshed.units import GIB

INIT = b"#!/busybox sh\n/busybox poweroff -f\n"


def floor_initrd(arch: Arch, folder: Path) -> Path:
    """An initrd whose init powers off, with Debian's static busybox."""
    apt = PrivateApt(arch)
    (package,) = [p for p in apt.resolve(["busybox-static"]) if p.name == "busybox-static"]
    (archive,) = apt.download([package])
    process.run(["dpkg-deb", "-x", archive, folder / "busybox"])
    program = next(
        path for path in (folder / "busybox").rglob("busybox") if path.is_file() and os.access(path, os.X_OK)
    )
    entries = [
        initrd.Entry("busybox", initrd.PROGRAM, program.read_bytes()),
        initrd.Entry("init", initrd.PROGRAM, INIT),
    ]
    file = folder / "initrd"
    file.write_bytes(initrd.archive(entries))
    return file


async def floor(image: Image, memory_disk: Path, folder: Path) -> float:
    """Seconds from starting QEMU to its end, the guest having done nothing."""
    spec = MachineSpec(
        name="floor",
        arch=image.arch,
        cores=2,
        memory=GIB,
        boot=LinuxBoot(image.boot.kernel, memory_disk, image.boot.cmdline),
        disks=(),
        mac="02:00:00:00:00:01",
        machine_id="00000000-0000-4000-8000-000000000001",
    )
    lock = os.open(folder / "vm.lock", os.O_RDWR | os.O_CREAT)
    try:
        async with asyncio.TaskGroup() as tasks:
            launch = Launch(folder, lock, tasks, console=lambda _: None, log=sys.stderr.fileno())
            began = time.perf_counter()
            vm = await QemuDriver().start(spec, launch)
            await vm.wait()
            return time.perf_counter() - began
    finally:
        os.close(lock)


def banner(port: int, began: float) -> float:
    """Seconds since `began` until the forwarder's port has passed on the guest's banner."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
                if client.recv(16):
                    return time.perf_counter() - began
        except ConnectionRefusedError:
            time.sleep(0.01)


def start(place: RealPlace) -> float:
    """Seconds from the command to the banner; the builder is stopped again."""
    port = free_port()
    began = time.perf_counter()
    command = place.spawn("start", "--port", str(port), "--memory", "1GiB", "--cores", "2", *place.more)
    taken = banner(port, began)
    command.communicate()
    place.ok("stop")
    return taken


def measure(arch: Arch, rounds: int) -> None:
    image = ensure(arch)
    floors, first, later = [], [], []
    with TemporaryDirectory() as folder:
        nothing = floor_initrd(arch, Path(folder))
        for _ in range(rounds):
            floors.append(asyncio.run(floor(image, nothing, Path(folder))))
            with RealPlace.made(stops=True) as place:
                place.more = ("--system", arch.nix_system)
                first.append(start(place))
                later.append(start(place))
    base = statistics.median(floors)
    print(f"{arch}: floor {base:.2f} s")
    for name, times in (("first start, which formats the disk", first), ("every later start", later)):
        middle = statistics.median(times)
        print(f"{arch}: {name:36} {middle:5.2f} s to the banner, {middle / base:4.2f} times the floor")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for arch in Arch:
        measure(arch, rounds)


if __name__ == "__main__":
    main()
