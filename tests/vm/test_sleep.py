"""A real builder that sleeps and wakes: what it is for is still there afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clients import connect, greeted, status_of
from command import with_patience
from real import RealPlace
from snowshed.config import Host
from snowshed.supervisor.forwarder import FIRST_WORD_SECONDS

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

_ARCH = Host.this().arch
SYSTEM = _ARCH.nix_system if _ARCH else "x86_64-linux"
VERIFY = "nix-store --verify --check-contents"


@pytest.fixture
def place() -> Iterator[RealPlace]:
    with RealPlace.made(stops=True) as made:
        yield made


def the_store_is_whole(place: RealPlace) -> None:
    """Every path that Nix was told is valid is there in the guest, with its contents."""
    verified = place.run("ssh", VERIFY)
    assert verified.status == 0, verified.words
    assert "was modified" not in verified.err
    assert "disappeared" not in verified.err


def the_disk_is_clean(place: RealPlace) -> None:
    """The host's own check of the data disk finds nothing: it is ext4 from its first byte on."""
    checker = shutil.which("e2fsck", path="/usr/sbin:/sbin:/usr/bin")
    assert checker is not None, "e2fsck is part of every Debian"
    checked = subprocess.run([checker, "-f", "-n", place.state / "disk.img"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_build_wakes_a_suspended_builder(place: RealPlace) -> None:
    place.start()
    before = place.ok("ssh", "cat /proc/sys/kernel/random/boot_id").out
    place.ok("suspend")
    assert not place.processes().keys() - {status_of(place, "supervisorPid")}, (
        "something still holds the guest's memory"
    )
    built = place.build("woken", "echo built in a dream > $out", system=SYSTEM)
    assert built.status == 0, built.words
    assert place.content(built.out) == "built in a dream\n"
    assert place.ok("ssh", "cat /proc/sys/kernel/random/boot_id").out == before, "it was booted, not woken"
    the_store_is_whole(place)


def test_the_clock_is_right_after_a_sleep(place: RealPlace) -> None:
    place.start()
    place.ok("suspend")
    time.sleep(5)
    before = time.time()
    told = int(place.ok("ssh", "date +%s").out)
    assert before - 1 <= told <= time.time() + 1


def test_a_burst_of_connections_is_served_by_one_wake(place: RealPlace) -> None:
    """More than sshd's own limit: MaxStartups 10:30:100 would begin to refuse at ten. Each is served at its first try:
    the second would come after a minute."""
    place.start()
    port = status_of(place, "port")
    place.ok("suspend")
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(connect(port)) for _ in range(12)]
        for client in clients:
            client.settimeout(FIRST_WORD_SECONDS - 5)
        assert all(greeted(client) for client in clients)
    assert status_of(place) == "running"


@pytest.mark.parametrize("victim", ["supervisor", "hypervisor", "both"])
def test_what_was_built_survives_kill_9(place: RealPlace, victim: str) -> None:
    place.start()
    built = place.build("kept", "echo kept > $out", system=SYSTEM)
    assert built.status == 0, built.words
    report = {name: status_of(place, name) for name in ("pid", "supervisorPid")}
    doomed = {"supervisor": ["supervisorPid"], "hypervisor": ["pid"], "both": ["pid", "supervisorPid"]}[victim]
    for name in doomed:
        os.kill(report[name], signal.SIGKILL)
    if victim == "hypervisor":
        with_patience(lambda: status_of(place) == "failed")
        place.ok("start")
    else:
        with_patience(lambda: not place.processes())
        place.start()
    path = built.out.strip()
    assert place.ok("ssh", f"cat /data{path}").out == "kept\n"
    the_store_is_whole(place)
    place.ok("stop")
    the_disk_is_clean(place)


def test_a_hundred_sleeps_and_a_build_in_each_tenth(place: RealPlace) -> None:
    place.start()
    port = status_of(place, "port")
    boot = place.ok("ssh", "cat /proc/sys/kernel/random/boot_id").out
    for number in range(100):
        place.ok("suspend")
        with connect(port) as client:
            assert greeted(client), f"no answer after sleep {number}"
        if number % 10 == 9:
            built = place.build(f"sleep-{number}", f"echo {number} > $out", system=SYSTEM)
            assert built.status == 0, built.words
        with_patience(lambda: status_of(place, "connections") == 0)
    assert place.ok("ssh", "cat /proc/sys/kernel/random/boot_id").out == boot
    the_store_is_whole(place)
    place.ok("stop")
    the_disk_is_clean(place)
