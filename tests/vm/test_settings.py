"""What a builder is told at its start: everything reaches the guest, and neither its image nor its disk is made anew.

One builder: started, used, stopped, told otherwise in everything at once, and started again. Its machine has no clock
that is right, as some have none at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command import free_port, with_patience
from guests import put_busybox
from real import RealPlace
from snowshed.config_schema import options
from snowshed.model.machine import Arch
from snowshed.process import find
from snowshed.units import GIB, MIB

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

SYSTEM = "x86_64-linux"
FIRST = f"""
system = "{SYSTEM}"
cores = 2
memory = "1GiB"
disk_size = "8G"
network = "restricted"
"""
SECOND = f"""
system = "{SYSTEM}"
cores = 1
memory = "1280MiB"
disk_size = "9G"
network = "nat"
share_nix_store = true
[nix]
max_jobs = 3
features = ["big-parallel", "snow"]
emulate = ["aarch64-linux"]
substituters = ["https://cache.invalid"]
trusted_public_keys = ["cache.invalid:AAAA"]
ca_bundle = "HERE/ca.crt"
netrc = "HERE/netrc"
proxy = "http://10.0.2.2:9"
no_proxy = "localhost,.invalid"
[shares.given]
path = "HERE/given"
[shares.taken]
path = "HERE/taken"
read_only = false
"""
ARRIVED = {
    "cores": ("nproc", "1"),
    "memory": ("awk '/MemTotal/ { print ($2 > 1100000) }' /proc/meminfo", "1"),
    "disk_size": ("stat -f -c '%b %S' /data | awk '{ print ($1 * $2 > 8500000000) }'", "1"),
    "network": ("ip route | grep -c ^default", "1"),
    "share_nix_store": ("grep -c ' /mnt/nix-store virtiofs ro' /proc/mounts", "1"),
    "nix.max_jobs": ("nix config show max-jobs", "3"),
    "nix.features": ("nix config show system-features", "big-parallel snow"),
    "nix.emulate": ("nix config show extra-platforms", "aarch64-linux i686-linux"),
    "nix.substituters": ("nix config show substituters", "https://cache.invalid"),
    "nix.trusted_public_keys": ("nix config show trusted-public-keys", "cache.invalid:AAAA"),
    "nix.ca_bundle": ("cat $(nix config show ssl-cert-file)", "CERTIFICATES"),
    "nix.netrc": ("nix config show netrc-file; stat -c %a /run/snowshed/netrc", "/run/snowshed/netrc\n600"),
    "nix.proxy": ("grep ^https_proxy /run/snowshed/settings.env", "https_proxy=http://10.0.2.2:9"),
    "nix.no_proxy": ("grep ^no_proxy /run/snowshed/settings.env", "no_proxy=localhost,.invalid"),
    "shares.*.path": ("cat /mnt/given/file", "from the host"),
    "shares.*.read_only": ("grep -c ' /mnt/taken virtiofs rw' /proc/mounts", "1"),
}
"""Each option that reaches a guest: what a shell there shows of it, and what that is after the second start."""

ELSEWHERE = {
    "the host's own": (
        *("driver", "accel", "port", "on_demand", "verbose", "stop_grace", "metrics_port"),
        *("idle.timeout", "idle.action", "watchdog.timeout", "watchdog.action"),
        *("nix.speed_factor", "nix.protocol", "nix.min_free", "nix.max_free"),
    ),
    "what is booted": ("system", "image", "kernel", "initrd", "system_path"),
    "hardware that not every host has; test_foreign.py has Rosetta": ("rosetta", "nested_virtualization"),
}


def test_every_option_is_looked_at() -> None:
    """A new option that reaches the guest is changed and looked at here; any other is named in ELSEWHERE, with why."""
    elsewhere = [option for names in ELSEWHERE.values() for option in names]
    assert sorted([*ARRIVED, *elsewhere]) == sorted(option.full for option in options())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlace]:
    """A QEMU whose machines believe that it is 2001."""
    tools = tmp_path_factory.mktemp("tools")
    program = tools / "qemu-system-x86_64"
    program.write_text(f'#!/bin/sh\nexec {find(program.name, "")} "$@" -rtc base=2001-01-01T00:00:00\n')
    program.chmod(0o755)
    with RealPlace.made(stops=True) as made:
        made.environment["PATH"] = f"{tools}:{made.environment['PATH']}"
        yield made


def configure(place: RealPlace, text: str) -> None:
    here = place.home / "here"
    for folder in ("given", "taken"):
        (here / folder).mkdir(parents=True, exist_ok=True)
    (here / "given/file").write_text("from the host\n")
    (here / "ca.crt").write_text("CERTIFICATES\n")
    (here / "netrc").write_text("machine cache.invalid password secret\n")
    file = place.home / ".config/snowshed/default.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("HERE", str(here)))


def status(place: RealPlace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("status", "--json").out)
    return found


def allocated(place: RealPlace) -> int:
    return (place.state / "disk.img").stat().st_blocks * 512


def the_image(place: RealPlace) -> dict[str, tuple[int, str]]:
    """Inode and hash of each of its files."""
    folder = Path(place.environment["XDG_CACHE_HOME"]) / "snowshed/images" / status(place)["image"]
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {f.name: (f.stat().st_ino, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files}


def test_settings_arrive_and_nothing_is_made_anew(place: RealPlace, tmp_path: Path) -> None:
    port = str(free_port())
    configure(place, FIRST)
    promise = place.ok("machines")
    place.ok("start", "--port", port)
    the_clock_is_right(place)
    image, disk = the_image(place), (place.state / "disk.img").stat().st_ino
    freed_blocks_go_back(place)
    place.ok("ssh", "echo kept >/data/home/file")
    place.ok("stop")
    at_rest = status(place)["disk"]
    assert at_rest["used"] > 0, "how full it was is remembered"
    assert at_rest["virtual"] == 8 * GIB
    assert f" {SYSTEM} " in promise.out
    no_other_builder_takes_its_disk(place)

    configure(place, SECOND)
    promise = place.ok("machines")
    assert f" {SYSTEM},aarch64-linux " in promise.out
    assert "The guest has not said yet that it builds for aarch64-linux" in promise.err
    place.ok("start", "--port", port)
    assert (the_image(place), (place.state / "disk.img").stat().st_ino) == (image, disk)
    everything_arrived(place)
    assert place.ok("ssh", "cat /data/home/file").out == "kept\n"
    it_builds_for_the_other_system(place, tmp_path)


def the_clock_is_right(place: RealPlace) -> None:
    def exact() -> bool:
        before = time.time()
        told = int(place.ok("ssh", "date +%s").out)
        return before - 1 <= told <= time.time() + 1

    with_patience(exact)


def no_other_builder_takes_its_disk(place: RealPlace) -> None:
    """Not even one that was never started, and knows of no disk of its own."""
    taken = place.state.with_name("other") / "disk.img"
    taken.parent.mkdir()
    subprocess.run(["cp", "--sparse=always", place.state / "disk.img", taken], check=True)
    refused = place.run("start", "-b", "other", "--port", str(free_port()), "--disk-size", "8G")
    assert refused.status != 0
    assert f"The data disk {taken} is that of another builder, which is named default." in refused.err
    shutil.rmtree(taken.parent)


def freed_blocks_go_back(place: RealPlace) -> None:
    """A GiB is written and deleted, and `gc` gives its blocks back to the host."""
    before, used = allocated(place), status(place)["disk"]["used"]
    place.ok("ssh", "for n in $(seq 62); do cat /usr/bin/qemu-aarch64; done >/data/home/large; sync")
    assert allocated(place) > before + 900 * MIB
    assert status(place)["disk"]["used"] > used + 900 * MIB
    place.ok("ssh", "rm /data/home/large")
    place.ok("gc")
    assert allocated(place) < before + 100 * MIB
    assert abs(status(place)["disk"]["used"] - used) < 100 * MIB


def everything_arrived(place: RealPlace) -> None:
    """The file system grows beside everything else."""
    place.ok("ssh", f"until [ $({ARRIVED['disk_size'][0]}) = 1 ]; do sleep 0.2; done")
    script = "; ".join(f"echo '@{option}'; {{ {look}; }} 2>&1" for option, (look, _) in ARRIVED.items())
    said = {}
    for part in place.ok("ssh", script).out.split("@")[1:]:
        option, _, text = part.partition("\n")
        said[option] = text.strip()
    assert said == {option: wanted for option, (_, wanted) in ARRIVED.items()}


def it_builds_for_the_other_system(place: RealPlace, folder: Path) -> None:
    """And everybody is told that it does."""
    report = status(place)
    assert (report["systems"], report["systemsKnown"]) == ([SYSTEM, "aarch64-linux"], True)
    assert report["emulators"] == {"aarch64-linux": "qemu-user"}
    assert "has not said yet" not in place.ok("machines").err
    shell = put_busybox(folder / "arm", Arch.AARCH64)
    built = place.build("t", "$builder uname -m >$out; echo $0 >>$out", system="aarch64-linux", shell=shell)
    assert built.status == 0, built.words
    assert place.content(built.out) == "aarch64\nsh\n"
