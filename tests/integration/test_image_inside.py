"""Images made inside a builder, in the user land of a real image: apt, verified packages, Python and all, on this
host's processor. What is missing is the machine and its sshd; `tests/vm` has those."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import hosts
from command import with_patience
from guest_userland import Userland, unpack
from snowshed import paths
from snowshed.config import Host
from snowshed.errors import GuestError, UserError
from snowshed.guest.disk import FORGET_WORKSHOP, WORKSHOP
from snowshed.images import apt, debian, manifest, store, upkeep
from snowshed.images.inside.host import Inside
from snowshed.model.machine import Arch

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not()),
]

BY_KMOD = "modules.*"
"""Indexes that kmod makes: another version of it writes some more of them."""


class Made:
    """The image that this host makes itself, a guest that runs from it, and a host without any image."""

    def __init__(self, folder: Path) -> None:
        self.arch = Host.this().arch or Arch.X86_64
        self.here = debian.build(self.arch).image
        self.mirror = apt.host_mirror()
        self.guest = Userland(self.here, folder)
        self.workshop = self.guest.home / Path(WORKSHOP).name
        self.inside = Inside("one", self.arch, self.guest.ssh)
        self.stages: list[str] = []

    def report(self, stage: str, fraction: float | None = None, /) -> None:
        if stage not in self.stages:
            self.stages.append(stage)

    def give_packages(self) -> None:
        """Those that the image is made of, which this host has downloaded; the guest verifies them."""
        archives = self.workshop / "cache/snowshed/packages/archives"
        archives.mkdir(parents=True)
        for package in self.here.manifest.packages:
            for file in paths.packages_root().glob(f"archives/{package.name}_{package.version.replace(':', '%3a')}_*"):
                if hashlib.sha256(file.read_bytes()).hexdigest() == package.sha256:
                    shutil.copy(file, archives)
        for path in (self.workshop, *self.workshop.rglob("*")):
            os.chown(path, 1000, 1000)

    def collect(self) -> None:
        """What `gc` does about it, in the guest's own shell."""
        script = f"{FORGET_WORKSHOP}\nforget_workshop {WORKSHOP}"
        subprocess.run([*self.guest.ssh, script], stdin=subprocess.DEVNULL, check=True)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    found = Made(tmp_path)
    found.give_packages()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield found
    for line in Path("/proc/mounts").read_text().splitlines():
        assert str(tmp_path) not in line


def content(tree: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of every file but kmod's."""
    found = {}
    for path in tree.rglob("*"):
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        if not path.match(f"lib/modules/*/{BY_KMOD}"):
            found[str(path.relative_to(tree))] = (path.lstat().st_mode, hashlib.sha256(data).hexdigest())
    return found


def left(made: Made) -> list[str]:
    return sorted(path.name for path in made.workshop.iterdir())


def test_an_image_made_inside_is_the_one_that_this_host_makes(made: Made, tmp_path: Path) -> None:
    (made.workshop / "lock").symlink_to("1")  # a dead one's, and somebody else has its number now
    # Interrupted in the middle: the guest notices that we are gone, and nothing half-made stays on either side.
    with pytest.raises(KeyboardInterrupt):
        made.inside.build(made.arch, mirror=made.mirror, report=_interrupts)
    with_patience(lambda: left(made) == ["cache", "tree"])
    assert not (made.workshop / "cache/snowshed/images").exists()
    assert store.images() == []

    # Again: with the tools that are there now.
    built = made.inside.build(made.arch, mirror=made.mirror, report=made.report)
    assert (built.fresh, built.stale_lists) == (True, False)
    assert "tools for the builder" not in made.stages
    assert built.image.path.is_relative_to(tmp_path / "cache")
    assert upkeep.damage(built.image) == []
    assert built.image.manifest.packages == made.here.manifest.packages
    assert built.image.name == made.here.name
    mine, its = made.here.manifest.files, built.image.manifest.files
    assert {name: its[name] for name in (manifest.KERNEL, manifest.INITRD)} == {
        name: mine[name] for name in (manifest.KERNEL, manifest.INITRD)
    }
    assert content(unpack(built.image, tmp_path / "its")) == content(unpack(made.here, tmp_path / "mine"))
    assert left(made) == ["cache", "tree"]
    assert not (made.workshop / "cache/snowshed/images").exists()

    # As a disk for firmware: the guest makes all of it, and this host, which has its parts now, the same.
    disk = made.inside.build(made.arch, mirror=made.mirror, efi_disk=True).image
    store.remove(disk)
    here = debian.build(made.arch, mirror=made.mirror, efi_disk=True).image
    assert (here.name, here.manifest.files) == (disk.name, disk.manifest.files)

    # What is here already is not made again, and the answer is remembered on this side.
    again = made.inside.build(made.arch, mirror=made.mirror)
    assert (again.image.name, again.fresh) == (built.image.name, False)
    asked = upkeep.look(made.arch, mirror=made.mirror, maker=made.inside)
    assert (asked.before, asked.changes) == (again.image, ())


def _interrupts(stage: str, fraction: float | None = None, /) -> None:
    if stage == "root file system" and fraction:
        raise KeyboardInterrupt


def test_what_stands_in_the_way_is_said(made: Made) -> None:
    with pytest.raises(GuestError, match="The builder one cannot get the tools for making images") as error:
        made.inside.look(made.arch, mirror="file:/nowhere")
    assert "nowhere" in error.value.message
    assert left(made) == ["cache"]

    other = subprocess.Popen(["sh", "-c", "read -r _; exit", "image-workshop"], stdin=subprocess.PIPE)
    (made.workshop / "lock").symlink_to(str(other.pid))
    with pytest.raises(GuestError, match="The builder one is making another image just now"):
        made.inside.look(made.arch)
    made.collect()
    assert left(made) == ["cache", "lock"]
    other.communicate(b"")
    made.collect()
    assert list(made.guest.home.iterdir()) == []

    (made.guest.tree / "usr/bin/apt-get").unlink()
    with pytest.raises(UserError, match="there is no apt in the image that it runs from"):
        made.inside.look(made.arch)
