"""What the Debian image does once it runs, on both architectures."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from guests import Guest, guest, qemu_processes
from snowshed.drivers.base import GuestNetwork
from snowshed.model.machine import Arch, LinuxBoot
from snowshed.ssh.config import alias
from snowshed.units import GIB, KIB, MIB

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

LOADER = {Arch.X86_64: "/lib64/ld-linux-x86-64.so.2", Arch.AARCH64: "/lib/ld-linux-aarch64.so.1"}

CLEAN, IN_ERROR = 1, 2
NEEDS_RECOVERY = 0x4
"""Of ext4: `s_state`, and the incompatible feature of a journal that has something in it."""


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = qemu_processes()
    yield
    assert qemu_processes() == before


def state_of(disk: Path) -> tuple[int, bool]:
    """The state of the ext4 on `disk`, and whether its journal was left to be replayed."""
    with disk.open("rb") as stream:
        stream.seek(KIB)
        superblock = stream.read(KIB)
    magic, state = struct.unpack_from("<HH", superblock, 0x38)
    assert magic == 0xEF53
    return state, bool(struct.unpack_from("<I", superblock, 0x60)[0] & NEEDS_RECOVERY)


def mark_as_damaged(disk: Path) -> None:
    """Say in the superblock that the file system is in error, as the kernel does when it meets one."""
    debugfs = shutil.which("debugfs", path="/usr/sbin:/sbin:/usr/bin")
    assert debugfs is not None, "debugfs is part of every Debian"
    subprocess.run([debugfs, "-w", "-R", f"set_super_value state {IN_ERROR}", disk], check=True, capture_output=True)


@pytest.mark.parametrize("arch", list(Arch))
async def test_the_hosts_nix_builds_in_the_guest(tmp_path: Path, arch: Arch) -> None:
    async with guest(tmp_path, system=arch.nix_system) as (machine, tasks):
        await machine.boot(tasks)
        built = await _build(machine, tmp_path, "uname -m > $out; id -un >> $out; ls /nix/store | wc -l >> $out")
        assert built == f"{arch}\nnixbld\n1\n", "a sandbox of its own holds nothing but what it makes"
        await _what_fetches_finds_the_name_server(machine, tmp_path)
        assert await _libraries_that_are_missing(machine) == ""
        await _all_of_the_ssh_server_is_read_ahead(machine)
        assert await machine.sh("find / -xdev -perm /6000") == ""
        await machine.shut_down()
        assert state_of(machine.paths.disk) == (CLEAN, False)


async def _what_fetches_finds_the_name_server(machine: Guest, folder: Path) -> None:
    """A derivation with a known hash may use the network, and gets the guest's own /etc/resolv.conf for it."""
    hashed = hashlib.sha256(b"nameserver 10.0.2.3\n").hexdigest()
    fixed = f'outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "{hashed}";'
    script = "while read line; do echo $line; done </etc/resolv.conf >$out"
    assert await _build(machine, folder, script, fixed) == "nameserver 10.0.2.3\n"


async def _build(machine: Guest, folder: Path, script: str, more: str = "") -> str:
    """What the host's own Nix has the guest build, over ssh-ng; nothing is built here."""
    expression = (
        f'derivation {{ name = "t"; system = "{machine.spec.arch.nix_system}"; builder = "/bin/sh"; {more} '
        f'args = [ "-c" "PATH=/bin; {script.replace("$", chr(92) + "$")}" ]; }}'
    )
    builder = f"ssh-ng://builder@{alias(machine.paths.name)} {machine.spec.arch.nix_system} - 2"
    options = " ".join(await machine.ssh_options())
    argv = ["nix-build", "--max-jobs", "0", "--builders", builder, "--no-out-link", "--expr", expression]
    store = folder / "store"
    environment = {"NIX_REMOTE": f"local?root={store}", "NIX_SSHOPTS": options, "XDG_CACHE_HOME": str(folder)}
    done = await asyncio.to_thread(
        subprocess.run, argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return Path(f"{store}{done.stdout.strip()}").read_text()  # noqa: ASYNC240 - a file of a few bytes


async def _all_of_the_ssh_server_is_read_ahead(machine: Guest) -> None:
    """The initrd names every library that the guest's own loader takes for the two programs of a first connection."""
    assert isinstance(machine.spec.boot, LinuxBoot)
    named = re.search(rb"usr/bin/busybox usr/sbin/sshd [^\n]*", machine.spec.boot.initrd.read_bytes())
    assert named is not None
    programs = ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session")
    listed = await machine.sh(";".join(f"{LOADER[machine.spec.arch]} --list {program}" for program in programs))
    loaded = {Path(line.split()[0]).name for line in listed.splitlines() if "linux-vdso" not in line}
    assert len(loaded) > 10
    assert loaded == {Path(name).name for name in named[0].decode().split()} - {"busybox", "sshd", "sshd-session"}


async def _libraries_that_are_missing(machine: Guest) -> str:
    """The image holds a choice of files from packages: every program in it still has to find what it is linked to."""
    return await machine.sh(
        "for f in /usr/bin/* /usr/sbin/* /usr/lib/openssh/* /usr/lib/git-core/git /usr/lib/git-core/git-remote-https "
        f"/usr/lib/*-linux-gnu/*.so.?; do [ -L $f ] || {LOADER[machine.spec.arch]} --list $f 2>/dev/null "
        '| grep "not found" | sed "s|^|$f |"; done; true',
        seconds=180,
    )


async def test_who_may_do_what_in_the_guest(tmp_path: Path) -> None:
    async with guest(tmp_path, system="x86_64-linux") as (machine, tasks):
        await machine.boot(tasks)
        modes = await machine.sh("cd /run/snowshed && stat -c '%a %U %n' *")
        assert "600 root ssh_host_ed25519_key" in modes.splitlines()
        assert (await machine.ssh("cat /run/snowshed/ssh_host_ed25519_key 2>&1; cat /dev/vdc 2>&1; true")).count(
            "Permission denied"
        ) == 2
        assert (await machine.ssh("nix store info 2>&1")).splitlines()[-1] == "Trusted: 1"
        assert "Permission denied" in await machine.ssh("touch /data/nix/store/x 2>&1; true")

        told = dict(line.split(" ", 1) for line in (await machine.sh("/usr/sbin/sshd -T")).splitlines() if " " in line)
        assert (told["passwordauthentication"], told["permitrootlogin"]) == ("no", "no")
        assert (told["kbdinteractiveauthentication"], told["usepam"]) == ("no", "no")
        assert (told["maxstartups"], told["logingracetime"]) == ("1000:30:2000", "600")
        assert told["allowusers"] == "builder"
        assert "no" in told["persourcepenalties"]

        conf = dict(
            line.split(" = ", 1) for line in (await machine.sh("nix config show")).splitlines() if " = " in line
        )
        assert (conf["sandbox"], conf["sandbox-fallback"], conf["fsync-store-paths"]) == ("true", "false", "true")
        assert (conf["cores"], conf["max-jobs"], conf["build-dir"]) == ("1", "1", "/data/build")
        assert "kvm" not in conf["system-features"].split() or await machine.sh("test -w /dev/kvm && echo") == "\n"


@pytest.mark.parametrize("arch", list(Arch))
async def test_the_data_disk_grows_and_is_mended_and_keeps_what_is_on_it(tmp_path: Path, arch: Arch) -> None:
    async with guest(tmp_path, system=arch.nix_system, disk_size=2 * GIB) as (machine, tasks):
        disk = machine.paths.disk
        await machine.boot(tasks, until="disk")
        await machine.sh("echo precious >/data/home/file; mkdir /data/build/left-over")
        await machine.shut_down()
        assert state_of(disk) == (CLEAN, False)

        mark_as_damaged(disk)
        machine.config = msgspec.structs.replace(machine.config, disk_size=5 * GIB)
        await machine.boot(tasks, until="disk")
        assert b"snowshed: the data disk was repaired:" in machine.recorder.console
        assert await machine.sh("cat /data/home/file") == "precious\n"
        assert int(await machine.sh("until [ $(($(stat -f -c %b /data) * 4)) -gt 4500000 ]; do sleep 1; done; echo 1"))
        assert await machine.sh("until [ $(ls -d /data/build* | wc -l) = 1 ]; do sleep 1; done; ls /data/build") == ""
        await machine.shut_down()
        assert state_of(disk) == (CLEAN, False)


@pytest.mark.parametrize("place", ["first", "last"])
async def test_a_disk_that_holds_something_else_is_never_formatted(tmp_path: Path, place: str) -> None:
    async with guest(tmp_path, system="x86_64-linux", disk_size=1 * GIB) as (machine, tasks):
        disk = machine.paths.disk
        with disk.open("wb") as stream:
            stream.truncate(GIB)
            stream.seek(300 * KIB if place == "first" else GIB - 600 * KIB)
            stream.write(b"somebody's only copy")
        before = disk.read_bytes()
        await machine.boot(tasks, until="failed disk the data disk does not pass its check and is left as it is")
        await machine.recorder.heard(b"snowshed-stage: sshd")
        assert (await machine.ssh("id -un")).strip() == "builder", "it stays reachable"
        await machine.shut_down()
        assert disk.read_bytes() == before


async def test_a_guest_without_serials_finds_its_disks_and_asks_for_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hypervisor gives that has neither serials nor a network whose addresses it knows; in little memory."""
    async with guest(tmp_path, system="x86_64-linux", memory=512 * MIB, cores=1) as (machine, tasks):
        disks = tuple(msgspec.structs.replace(disk, serial=f"x{n}") for n, disk in enumerate(machine.spec.disks))
        machine.spec = msgspec.structs.replace(machine.spec, disks=disks[::-1])
        monkeypatch.setattr(machine.driver, "network", lambda spec: GuestNetwork("dhcp"))
        await machine.boot(tasks)
        assert (await machine.ssh("uname -m")).strip() == "x86_64"
        assert "inet 10.0.2.15/24" in await machine.sh("ip address show eth0")
        assert "default via 10.0.2.2" in await machine.sh("ip route")
        assert re.fullmatch(r"(nameserver \S+\n)+", await machine.sh("cat /etc/resolv.conf"))
        await machine.shut_down()
        await machine.boot(tasks)  # the data disk is known by its label now
        await machine.shut_down()
