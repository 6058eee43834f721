"""Whole builders with real guests on the macOS drivers: the framework's stand-in and the fake vfkit boot QEMU.

What a Mac adds is the framework itself. All else is what runs there: driver, helper, descriptors, seed, guest, agent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fakes.machines import INTEL, M3

from command import free_port
from mac_place import MacPlace
from snowshed.drivers.mac import Mac
from snowshed.images.store import ensure
from snowshed.model.machine import Arch
from snowshed.paths import images_root

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@contextmanager
def builder_on(driver: str, mac: Mac) -> Iterator[MacPlace]:
    """A place with the real images, whose macOS hypervisors boot them."""
    ensure(mac.arch or Arch.AARCH64)
    with TemporaryDirectory(prefix="snow-mac-", dir="/tmp") as folder:
        place = MacPlace(Path(folder), driver, mac)
        images = place.home / ".cache/snowshed/images"
        shutil.rmtree(images)
        images.symlink_to(images_root())
        place.environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        place.environment["FAKE_GUEST"] = "qemu"
        try:
            yield place
            place.run("stop", "--force")
        finally:
            left = place.end()
        assert left == {}, "processes were left behind"


def start(place: MacPlace) -> None:
    place.slowly("start", "--port", str(free_port()), "--memory", "768", "--cores", "2")


def built(place: MacPlace, system: str) -> str:
    """The output of a derivation that the guest's own Nix has built."""
    derivation = (
        f'derivation {{ name = "x"; system = "{system}"; builder = "/bin/sh"; args = ["-c" "echo x > $out"]; }}'
    )
    return place.slowly("ssh", f"nix-build --no-out-link -E '{derivation}'")


STEPS = ("signed", "boot", "ssh", "console", "clock", "disks", "build", "pause", "suspend", "supervisor-killed", "stop")


def test_the_selftest_passes_on_vz() -> None:
    """What a person with a Mac runs, as far as a Mac can be played: ``signed`` wants Apple's own tools."""
    with builder_on("vz", M3) as place:
        only = [word for step in STEPS for word in ("--only", step)]
        said = place.slowly("selftest", "--driver", "vz", "--system", "aarch64-linux", *only)
        assert "| - | The signed interpreter is made and works | 0.0 | needs a Mac |" in said
        assert "10 passed, 0 failed, 1 skipped." in said
        assert "vz, hvf: " in said
        assert "reached without an address of the guest's" in said, "by vsock"


def test_a_guest_on_vfkit_pauses_and_resumes() -> None:
    with builder_on("vfkit", INTEL) as place:
        start(place)
        assert place.slowly("ssh", "uname", "-m") == "x86_64\n"
        assert built(place, "x86_64-linux").startswith("/nix/store/")
        place.slowly("pause")
        assert place.slowly("ssh", "echo awake") == "awake\n"
        place.slowly("stop")
