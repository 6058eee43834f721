"""Whole builders on the macOS drivers: the real command and supervisor, over the fakes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fakes.guests import BANNER
from fakes.machines import INTEL, M1, M3

from command import with_patience
from mac_place import MacPlace
from snowshed.drivers.mac import Mac


@contextmanager
def builder_on(driver: str, mac: Mac = M3, **environment: str) -> Iterator[MacPlace]:
    """A place whose builder may run; nothing of it is left afterwards."""
    with TemporaryDirectory(prefix="snow-mac-", dir="/tmp") as folder:
        place = MacPlace(Path(folder), driver, mac)
        place.environment |= environment
        try:
            yield place
            place.run("stop", "--force")
        finally:
            left = place.end()
        assert left == {}, "processes were left behind"


def report(place: MacPlace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("status", "--json").out)
    return found


def banner(place: MacPlace) -> bytes:
    """What the guest's sshd says first, through the forwarder."""
    with socket.create_connection(("127.0.0.1", report(place)["port"]), timeout=30) as connection:
        return connection.recv(100)


@pytest.mark.parametrize("driver", ["vz", "vfkit"])
def test_a_builder_from_its_start_to_its_end(driver: str) -> None:
    with builder_on(driver) as place:
        done = place.start()
        assert "The builder default (aarch64-linux) is ready in" in done.err
        facts = report(place)
        assert (facts["driver"], facts["accelerator"], facts["running"]) == (driver, "hvf", True)
        assert banner(place) == BANNER
        assert "snowshed-stage: nix" in (place.state / "console.log").read_text()
        place.ok("stop")
        assert place.processes() == {}
        assert not list(place.state.glob("*.sock"))
        place.ok("destroy", "--yes")
        assert not place.state.exists()


def test_a_builder_on_vz_sleeps_on_disk_and_wakes() -> None:
    with builder_on("vz") as place:
        place.start()
        assert banner(place) == BANNER
        place.ok("suspend")
        assert report(place)["state"] == "suspended"
        assert [name for name in place.processes().values() if "helper" in name] == [], "its memory is the host's again"
        assert banner(place) == BANNER, "a connection wakes it"
        assert report(place)["state"] == "running"
        assert (place.state / "console.log").read_text().count("snowshed-stage: boot") == 1, "it did not boot again"


def test_a_builder_on_macos_13_says_why_it_does_not_sleep_on_disk() -> None:
    with builder_on("vz", Mac((13, 0), M1.arch, 1, "22A380")) as place:
        place.start()
        assert report(place)["suspendBlocker"] == "saving VMs came with macOS 14"
        done = place.run("suspend")
        assert done.status != 0
        assert report(place)["state"] == "running"
        place.ok("pause")
        assert banner(place) == BANNER
        assert report(place)["state"] == "running"


def test_memory_that_macos_does_not_take_any_more_costs_a_boot_and_nothing_else() -> None:
    """It is bound to the machine's identifier, to this Mac, and to a version of macOS."""
    with builder_on("vz") as place:
        place.start()
        place.ok("suspend")
        (place.state / "vz-machine-identifier").write_bytes(b"standin-identifier:of another machine")
        assert banner(place) == BANNER
        assert "The saved memory is not accepted any more" in place.ok("events").out
        assert (place.state / "console.log").read_text().count("snowshed-stage: boot") == 2


def test_a_builder_on_vfkit_pauses() -> None:
    with builder_on("vfkit") as place:
        place.start()
        place.ok("pause")
        assert report(place)["state"] == "paused"
        assert banner(place) == BANNER
        assert report(place)["state"] == "running"


@pytest.mark.parametrize("driver", ["vz", "vfkit"])
def test_a_supervisor_that_was_killed_leaves_no_vm_behind(driver: str) -> None:
    """The vz helper ends with it; a vfkit that lives on is ended by the next start."""
    with builder_on(driver) as place:
        place.start()
        vm = report(place)["pid"]
        os.kill(report(place)["supervisorPid"], signal.SIGKILL)
        place.start()
        with_patience(lambda: vm not in place.processes())
        assert banner(place) == BANNER


@pytest.mark.parametrize("driver", ["vz", "vfkit"])
def test_a_vm_that_was_killed_is_started_by_the_next_connection(driver: str) -> None:
    with builder_on(driver) as place:
        place.start()
        os.kill(report(place)["pid"], signal.SIGKILL)
        with_patience(lambda: not report(place)["running"])
        assert banner(place) == BANNER


def test_an_intel_mac() -> None:
    with builder_on("vz", INTEL) as place:
        done = place.start()
        assert "The builder default (x86_64-linux) is ready in" in done.err
        assert banner(place) == BANNER


def test_what_a_mac_cannot_do_is_said_before_anything_starts() -> None:
    with builder_on("vz", M1) as place:
        done = place.run("start", "--port", "1", "--system", "x86_64-linux")
        assert done.status == 2
        assert "runs guests of the host's own architecture only" in done.err
        assert not (place.state / "disk.img").exists()
    with builder_on("vz", M1, FAKE_VZ_FAULTS="start-fails") as place:
        done = place.run("start", "--memory", "512", "--cores", "1")
        assert done.status == 1
        assert "Virtualization.framework failed" in done.err


def test_what_happens_to_a_vm_is_in_the_event_log() -> None:
    with builder_on("vz", FAKE_VZ_FAULTS="detached") as place:
        place.start()
        assert "The guest's network card was disconnected" in place.ok("events").out
