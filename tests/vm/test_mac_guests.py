"""Whole builders with real guests on the macOS drivers: the framework's stand-in and the fake vfkit boot QEMU.

What a Mac adds is the framework itself. All else is what runs there: driver, helper, descriptors, seed, guest, agent.
"""

from __future__ import annotations

import json
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


def test_a_guest_on_vz_builds_sleeps_and_wakes() -> None:
    with builder_on("vz", M3) as place:
        start(place)
        assert place.slowly("ssh", "uname", "-m") == "aarch64\n"
        assert built(place, "aarch64-linux").startswith("/nix/store/")
        place.slowly("ssh", "echo kept > /tmp/kept")
        place.slowly("suspend")
        assert json.loads(place.run("status", "--json").out)["state"] == "suspended"
        assert place.slowly("ssh", "cat /tmp/kept") == "kept\n", "the same guest, not another boot"
        place.slowly("stop")
        assert "snowshed: stopped" in (place.state / "console.log").read_text(), "the guest shut itself down"


def test_a_guest_on_vfkit_pauses_and_resumes() -> None:
    with builder_on("vfkit", INTEL) as place:
        start(place)
        assert place.slowly("ssh", "uname", "-m") == "x86_64\n"
        assert built(place, "x86_64-linux").startswith("/nix/store/")
        place.slowly("pause")
        assert place.slowly("ssh", "echo awake") == "awake\n"
        place.slowly("stop")
