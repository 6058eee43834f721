"""Builds that run wild in a real guest: they die with Nix's own error, they are named, and the guest lives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from command import with_patience
from real import RealPlace
from snowshed.config import Host

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

_ARCH = Host.this().arch
SYSTEM = _ARCH.nix_system if _ARCH else "x86_64-linux"

EATS_ALL = """read -r _ all _ </proc/meminfo
exec -a dd /bin/sh if=/dev/zero of=/dev/null count=1 bs=$((all * 97 / 100))k"""
"""busybox, which a sandbox has as /bin/sh, is also dd: a buffer of nearly all the memory, filled."""
FORKS = "(exec -a mkfifo /bin/sh p); while :; do read x <p & done"
"""Each waits for ever for somebody to open the other end."""


@pytest.fixture(scope="module")
def place() -> Iterator[RealPlace]:
    with RealPlace.made(stops=True) as made:
        made.start("--memory", "512MiB", "--disk-size", "1G")
        yield made


FILLS = "exec -a dd /bin/sh if=/dev/zero of=$out bs=1M"
FILL = "rm -f /data/home/hog; set -- $(stat -f -c '%a %S' /data); fallocate -l $(($1 * $2 - (60 << 20))) /data/home/hog"
"""Leaves 60 MiB of the disk: garbage is collected below 102, a tenth of it."""


def shortages(place: RealPlace, of: str) -> list[dict[str, Any]]:
    """What the supervisor knows that ran out of this."""
    return [found for found in json.loads(place.run("status", "--json").out)["shortages"] if found["of"] == of]


@contextmanager
def little_room(place: RealPlace) -> Iterator[None]:
    place.ok("ssh", FILL)
    try:
        yield
    finally:
        place.ok("ssh", "rm /data/home/hog")


def it_builds_on(place: RealPlace, name: str) -> None:
    built = place.build(name, f"echo {name} > $out", system=SYSTEM)
    assert built.status == 0, built.words
    assert place.content(built.out) == f"{name}\n"


def test_a_build_that_eats_all_memory_fails_and_is_named(place: RealPlace) -> None:
    built = place.build("glutton-1.0", EATS_ALL, system=SYSTEM)
    assert built.status != 0
    assert "signal 9 (Killed)" in built.err
    (shortage,) = shortages(place, "memory")
    assert shortage["build"] == "glutton-1.0"
    assert 0.9 < shortage["held"] / shortage["limit"] <= 1.0
    assert "The build of glutton-1.0 ran out of memory at" in place.ok("status").out
    doctor = place.run("doctor", "--only", "out-of-memory")
    assert doctor.status == 1
    assert "glutton-1.0" in doctor.out
    it_builds_on(place, "after-the-glutton")


def test_a_build_that_forks_without_end_fails_and_the_guest_answers_meanwhile(place: RealPlace) -> None:
    with ThreadPoolExecutor() as pool:
        building = pool.submit(place.build, "fork-bomb", FORKS, system=SYSTEM)
        counted = "read -r n </sys/fs/cgroup/builds/pids.current; echo $n"
        most = 0
        while most < 100 and not building.done():
            most = max(most, int(place.ok("ssh", counted).out))
        built = building.result()
    assert built.status != 0
    assert "can't fork" in built.err
    assert most >= 100, "it was never seen at work"
    with_patience(lambda: [found["build"] for found in shortages(place, "processes")] == ["fork-bomb"])
    it_builds_on(place, "after-the-bomb")


def test_a_build_that_fills_the_disk_fails_and_is_named(place: RealPlace) -> None:
    with little_room(place):
        built = place.build("hog-1.0", FILLS, system=SYSTEM)
    assert built.status != 0
    with_patience(lambda: [found["build"] for found in shortages(place, "disk")] == ["hog-1.0"])
    assert "The build of hog-1.0 ran out of disk space at" in place.ok("status").out
    doctor = place.run("doctor", "--only", "out-of-disk")
    assert (doctor.status, "hog-1.0" in doctor.out) == (1, True), doctor.words
    it_builds_on(place, "after-the-hog")


def test_garbage_goes_when_the_disk_gets_full_and_what_is_needed_stays(place: RealPlace) -> None:
    """While nobody builds: Nix's own way, `min-free`, takes inputs from the build that it begins with."""
    dead, kept = (place.build(name, f"echo {name} >$out", system=SYSTEM) for name in ("dead", "kept"))
    place.ok("ssh", f"nix-store --realise {kept.out.strip()} --add-root /data/home/root")
    assert place.ok("ssh", "nix config show min-free").out == "0\n"
    with little_room(place):
        with_patience(lambda: dead.out.strip() not in paths(place), say=lambda: paths(place))
        assert kept.out.strip() in paths(place)
        assert place.ok("ssh", f"cat /data{kept.out.strip()}").out == "kept\n"
        assert "of the guest's disk were free: garbage is collected, " in place.log()
        it_builds_on(place, "in-little-room")


def paths(place: RealPlace) -> list[str]:
    return place.ok("ssh", "ls /data/nix/store | sed s,^,/nix/store/,").out.split()
