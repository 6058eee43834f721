"""Builds that run wild in a real guest: they die with Nix's own error, they are named, and the guest lives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

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
        made.start("--memory", "512MiB")
        yield made


def it_builds_on(place: RealPlace, name: str) -> None:
    built = place.build(name, f"echo {name} > $out", system=SYSTEM)
    assert built.status == 0, built.words
    assert place.content(built.out) == f"{name}\n"


def test_a_build_that_eats_all_memory_fails_and_is_named(place: RealPlace) -> None:
    built = place.build("glutton-1.0", EATS_ALL, system=SYSTEM)
    assert built.status != 0
    assert "signal 9 (Killed)" in built.err
    (shortage,) = json.loads(place.run("status", "--json").out)["shortages"]
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
    it_builds_on(place, "after-the-bomb")
