"""create-builder, run as nix-darwin runs it (as root, in a working directory), with a stand-in for the command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "nix/linux-builder/create-builder.sh"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="create-builder is root's: this test needs root")


class Place:
    def __init__(self, folder: Path) -> None:
        self.work = folder / "linux-builder"
        self.etc = folder / "etc"
        self.disk = self.work / "nixos.qcow2"
        self.state = self.work / "snowshed"
        self.host_key = folder / "published"
        for made in (self.work, self.etc):
            made.mkdir()
        self.host_key.write_text("published private half\n")
        Path(f"{self.host_key}.pub").write_text("ssh-ed25519 AAAA published\n")
        self.command = folder / "snowshed"
        self.command.write_text('#!/bin/sh\necho "$@"\n[ -e snowshed/disk.img ] || echo raw > snowshed/disk.img\n')
        self.command.chmod(0o755)

    def create(self) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "SNOWSHED": str(self.command),
            "CONFIG": "/settings.json",
            "HOST_NAME": "nixos",
            "HOST_KEY": str(self.host_key),
            "KEYS_OF_NIX": str(self.etc),
        }
        return subprocess.run(["bash", str(SCRIPT)], env=environment, cwd=self.work, capture_output=True, text=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_becomes_the_builder_with_the_keys_that_were_promised(place: Place) -> None:
    done = place.create()
    assert done.stdout.split() == [
        *("run", "-b", "linux-builder", "--config", "/settings.json", "--state-dir", str(place.state)),
    ], done.stderr
    assert (place.etc / "builder_ed25519").stat().st_mode & 0o777 == 0o600
    assert (place.state / "ssh/id_ed25519").read_text() == (place.etc / "builder_ed25519").read_text()
    assert (place.state / "ssh/ssh_host_ed25519_key").read_text() == place.host_key.read_text()
    assert place.disk.read_text() == "raw\n"


def test_a_second_start_keeps_disk_and_keys(place: Place) -> None:
    place.create()
    (place.state / "disk.img").write_text("built\n")
    key = (place.etc / "builder_ed25519").read_text()
    assert place.create().returncode == 0
    assert place.disk.read_text() == "built\n"
    assert (place.etc / "builder_ed25519").read_text() == key


def test_removing_the_disk_wipes_the_builder(place: Place) -> None:
    """What `ephemeral` does."""
    place.create()
    (place.state / "disk.img").write_text("built\n")
    (place.state / "suspend.state").write_text("memory of a machine with that disk")
    place.disk.unlink()
    place.create()
    assert place.disk.read_text() == "raw\n"
    assert not (place.state / "suspend.state").exists()


def test_the_keys_of_nixpkgs_builder_are_taken_over(place: Place) -> None:
    keys = place.work / "keys"
    keys.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "builder_ed25519"], check=True)
    before = (keys / "builder_ed25519").read_text()
    place.create()
    assert (place.etc / "builder_ed25519").read_text() == before


def test_the_disk_of_nixpkgs_builder_is_refused_by_name_and_kept(place: Place) -> None:
    place.disk.write_bytes(b"QFI\xfb and somebody's store")
    done = place.create()
    assert done.returncode == 2
    assert f"{place.disk} is a qcow2 disk, from the builder of nixpkgs" in done.stderr
    assert place.disk.read_bytes().startswith(b"QFI")


def test_any_other_file_of_that_name_is_refused(place: Place) -> None:
    place.disk.write_text("mine")
    done = place.create()
    assert done.returncode == 2
    assert "is no disk of snowshed's" in done.stderr
