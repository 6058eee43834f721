"""A Debian with systemd as its first process, in a virtual machine of our own QEMU driver; reached by its guest agent.

Its tree is made once by mmdebstrap, of this host's release, and kept in the user's cache; this checkout and its
dependencies are put into each guest. Only Python of the same minor version as here can load them there.
"""

from __future__ import annotations

import asyncio
import compileall
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from specs import Recorder

from snowshed.drivers.qemu.driver import QemuDriver
from snowshed.drivers.qemu.vm import QemuVm
from snowshed.guest.agent import Agent
from snowshed.model.machine import Disk, LinuxBoot, MachineSpec, Network, arch_of_machine
from snowshed.paths import cache_root
from snowshed.units import MIB

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "dbus-user-session", "udev", "python3", "openssh-client"),
    *("qemu-guest-agent", "initramfs-tools", "linux-image-cloud-amd64", "passwd", "util-linux", "iproute2"),
)
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
DEPENDENCIES = ("click", "msgspec", "qemu", "rich", "markdown_it", "mdurl", "pygments", "prometheus_client")
BOOT_SECONDS = 300
SCRIPT_SECONDS = 600
"""More than any one command of snowshed takes before it gives up: what it says of that is worth more than our word."""
SIZE = 2048 * MIB


def why_not() -> str:
    """Why there can be no such guest here; empty where there can."""
    if os.geteuid() != 0:
        return "making a tree with systemd in it needs root"
    if arch_of_machine(platform.machine()) != "x86_64":
        return "the tree is made for x86_64 alone"
    missing = [tool for tool in ("mmdebstrap", "mke2fs") if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin") is None]
    return f"{', '.join(missing)}: not installed" if missing else ""


def release() -> str:
    """This host's release of Debian."""
    words = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return words["VERSION_CODENAME"].strip('"')


def tree() -> Path:
    """The tree as a tar archive; takes minutes the first time, and a download of 100 MB."""
    archive = cache_root().with_name("snowshed-tests") / f"systemd-{release()}-{len(PACKAGES)}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        new = archive.with_suffix(".new.tar")
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        options += ["--variant=minbase", f"--include={','.join(PACKAGES)}", '--aptopt=Acquire::Languages "none"']
        subprocess.run(["mmdebstrap", *options, release(), new], check=True, stdin=subprocess.DEVNULL, timeout=1200)
        new.rename(archive)
    return archive


class SystemdGuest:
    """The guest while it runs."""

    def __init__(self, vm: QemuVm, agent: Agent) -> None:
        self.vm = vm
        self._agent = agent

    async def sh(self, script: str, *, seconds: float = SCRIPT_SECONDS) -> str:
        """What a script prints that runs as root and has to succeed."""
        return await self._agent.run(["/bin/sh", "-c", script], seconds=seconds)

    async def status(self, script: str) -> tuple[int, str]:
        """How a script ends, and all that it says."""
        said = await self.sh(f'{{ {script}\n}} 2>&1; echo "status $?"')
        text, _, number = said.rstrip().rpartition("status ")
        return int(number), text


@asynccontextmanager
async def systemd_guest(folder: Path) -> AsyncIterator[SystemdGuest]:
    """A guest with its disk in `folder`."""
    disk, kernel, initrd = await asyncio.to_thread(_disk, folder)
    arch = arch_of_machine(platform.machine())
    assert arch is not None
    spec = MachineSpec(
        name="systemd",
        arch=arch,
        cores=2,
        memory=1024 * MIB,
        boot=LinuxBoot(kernel, initrd, "root=/dev/vda rw quiet systemd.show_status=false net.ifnames=0"),
        disks=(Disk(disk, "root"),),
        mac="52:54:00:12:34:57",
        machine_id="1123456789abcdef0123456789abcdef",
        network=Network.RESTRICTED,
    )
    async with asyncio.TaskGroup() as tasks:
        recorder = Recorder(folder, tasks)
        vm = await QemuDriver().start(spec, recorder.launch)
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                yield_to = SystemdGuest(vm, await Agent.connect(await vm.agent(), seconds=BOOT_SECONDS))
                await yield_to.sh("systemctl is-system-running --wait || true", seconds=BOOT_SECONDS)
            yield yield_to
        finally:
            await vm.kill()
            recorder.close()


def _disk(folder: Path) -> tuple[Path, Path, Path]:
    """A fresh disk with the tree and this checkout, its kernel and its initrd."""
    unpacked, disk = folder / "tree", folder / "root.img"
    unpacked.mkdir()
    subprocess.run(["tar", "-C", unpacked, "-xf", tree(), "--exclude=./dev/*"], check=True)
    _put_checkout(unpacked)
    _put_qemu(unpacked)
    with disk.open("wb") as image:
        image.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", unpacked, disk], check=True)
    boot = unpacked / "boot"
    (kernel,), (initrd,) = boot.glob("vmlinuz-*"), boot.glob("initrd.img-*")
    kept = [shutil.copy(file, folder) for file in (kernel, initrd)]
    shutil.rmtree(unpacked)
    return disk, Path(kept[0]), Path(kept[1])


def _put_qemu(root: Path) -> None:
    """This host's QEMU, with the libraries that it needs: it is of the same release."""
    program = shutil.which("qemu-system-x86_64")
    assert program is not None, "the tests need QEMU"
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    (root / "opt/qemu").mkdir(parents=True)
    shutil.copy(program, root / "opt/qemu/qemu-system-x86_64")
    for module in Path("/usr/lib").glob("*/qemu/accel-*.so"):
        shutil.copy(module, root / "opt/qemu")
    for line in libraries.splitlines():
        words = line.split()
        if "=>" in words and words[2].startswith("/"):
            shutil.copy(words[2], root / "opt/qemu" / words[0])


def _put_checkout(root: Path) -> None:
    """snowshed as a program of the guest, with what it depends on, and the tests' stand-ins; compiled, which would take
    the guest a minute."""
    home = root / "opt/snowshed"
    for name in ("src", "tests"):
        shutil.copytree(REPOSITORY / name, home / name)
    site = next(Path(p) for p in sys.path if p.endswith("site-packages") and (Path(p) / "msgspec").exists())
    for name in DEPENDENCIES:
        if (site / name).exists():
            shutil.copytree(site / name, home / "lib" / name)
    compileall.compile_dir(home, quiet=2)
    version = f"python3.{sys.version_info.minor}"
    packages = root / "usr/local/lib" / version / "dist-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "snowshed.pth").write_text("/opt/snowshed/src\n/opt/snowshed/tests\n/opt/snowshed/lib\n")
    program = root / "usr/local/bin/snowshed"
    program.write_text("#!/usr/bin/python3 -P\nimport sys\nfrom snowshed.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
