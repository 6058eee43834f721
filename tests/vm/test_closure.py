"""A direct boot of a system that lies in the host's Nix store, and what the host does there meanwhile.

The system is the Debian image's own, unpacked into a store path whose ``init`` starts it; its initrd does what that of
NixOS does: it mounts the host's store and goes to ``init=``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Done
from real import BUILD_SECONDS, RealPlace
from snowshed.guest.contract import contract
from snowshed.images import initrd
from snowshed.images.store import ensure
from snowshed.model.machine import Arch

STORE = Path("/nix/store")
EXTRACT = shutil.which("fsck.erofs", path="/usr/sbin:/sbin:/usr/bin")
NAME = "00000000000000000000000000000000-snowshed-test"

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0 or not STORE.is_dir(), reason="only root can put a system into /nix/store"),
    pytest.mark.skipif(EXTRACT is None, reason="fsck.erofs is not installed (Debian: erofs-utils)"),
]

INITRD = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
read -r modules </modules
$b modprobe -a $modules
$b mkdir -p /proc
$b mount -t proc proc /proc
$b mount -t tmpfs root /root
$b mkdir -p /root/nix/store
$b mount -t virtiofs -o ro {contract().shares.nix_store} /root/nix/store
for word in $($b cat /proc/cmdline); do
    case $word in init=*) init=${{word#init=}} ;; esac
done
exec $b switch_root /root "$init"
"""

INIT = """#!{system}/root/usr/bin/busybox sh
b={system}/root/usr/bin/busybox
$b mkdir /new
$b mount -o bind {system}/root /new
$b mount -o bind /nix/store /new/nix/store
: >/init  # by which switch_root knows that it may leave
exec $b switch_root /new /sbin/init
"""


@pytest.fixture
def system() -> Iterator[Path]:
    """A store path with a system in it."""
    folder = STORE / f"{NAME}-system"
    image = ensure(Arch.X86_64)
    try:
        folder.mkdir()
        assert EXTRACT is not None
        subprocess.run([EXTRACT, f"--extract={folder}/root", image.root], check=True, capture_output=True)
        (folder / "init").write_text(INIT.format(system=folder))
        (folder / "init").chmod(0o755)
        (folder / "kernel-params").write_text(f"{image.boot.cmdline}\n")
        yield folder
    finally:
        for left in STORE.glob(f"{NAME}-*"):
            shutil.rmtree(left)


@pytest.fixture
def place() -> Iterator[RealPlace]:
    with RealPlace.made(stops=True) as made:
        yield made


def test_a_system_of_the_hosts_store_boots_and_the_host_goes_on_with_its_store(
    system: Path, place: RealPlace, tmp_path: Path
) -> None:
    boot = ensure(Arch.X86_64).boot
    archive = initrd.archive([initrd.Entry("init", initrd.PROGRAM, INITRD.encode())])
    (tmp_path / "initrd").write_bytes(boot.initrd.read_bytes() + archive)
    passing = STORE / f"{NAME}-passing"
    passing.mkdir()
    before = sorted(path.name for path in STORE.iterdir())

    place.start("--kernel", str(boot.kernel), "--initrd", str(tmp_path / "initrd"), "--system", str(system))
    seen = place.run("ssh", "cat /proc/cmdline; ls -A /nix/store; touch /nix/store/x")
    cmdline, *names = seen.out.splitlines()
    assert f"init={system}/init " in cmdline
    assert names == before, "the system's store is the host's"
    assert (seen.status, "Read-only file system" in seen.err) == (1, True), seen.words

    built = meanwhile_on_the_host(place, passing)
    assert built.status == 0, built.words
    assert place.content(built.out) == "built\n"

    place.ok("gc")
    place.ok("restart")
    again = place.build("again", "echo again >$out", system="x86_64-linux")
    assert again.status == 0, again.words
    assert sorted(path.name for path in STORE.iterdir()) == [name for name in before if name != passing.name]


def meanwhile_on_the_host(place: RealPlace, passing: Path) -> Done:
    """A build in the guest, while the host's own Nix has its lock, half of its output, and collects garbage."""
    script = "busybox sleep 2; echo built >$out"
    output = Path(place.output_of("t", script, system="x86_64-linux"))
    lock = output.with_name(f"{output.name}.lock")
    outcome: list[Done] = []
    build = threading.Thread(target=lambda: outcome.append(place.build("t", script, system="x86_64-linux")))
    try:
        lock.write_text("d")
        output.mkdir()
        (output / "half").write_text("")
        build.start()
        passing.rmdir()
        build.join(BUILD_SECONDS)
        assert (output / "half").exists(), "the guest leaves the host's half-built path alone"
    finally:
        lock.unlink()
        shutil.rmtree(output)
    return outcome[0]
