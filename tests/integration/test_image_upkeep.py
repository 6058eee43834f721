"""Looking after images, through the real command: upgrading, pruning, verifying; and builders that use them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clients import status_of
from command import Place, put_image, with_patience
from snowshed import paths
from snowshed.config import Host
from snowshed.images import manifest
from snowshed.model.machine import Arch


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as place:
        yield place


def images(place: Place) -> Path:
    return place.home / ".cache/snowshed/images"


def own() -> Arch:
    arch = Host.this().arch
    assert arch is not None
    return arch


def remade(folder: Path, name: str, **versions: str) -> Path:
    """The image in `folder` under another name, as if it had been made of other packages, and later."""
    about = manifest.decode((folder / manifest.NAME).read_bytes())
    packages = tuple(manifest.PackageName(package, version, "") for package, version in versions.items())
    about = msgspec.structs.replace(about, packages=packages, created=about.created + 1)
    new = folder.with_name(name)
    folder.rename(new)
    (new / manifest.NAME).write_bytes(manifest.encode(about))
    return new


def test_status_and_doctor_remember_what_debian_had(place: Place) -> None:
    """Asked for real, once: the mirror that this machine's apt uses."""
    packages = place.home / ".cache/snowshed/packages"
    packages.symlink_to(paths.packages_root())
    (old,) = (path for path in images(place).iterdir() if path.name.startswith(own()))
    old = remade(old, f"{own()}-0000000000000000", **{"nix-bin": "0.1", "git": "0.1"})
    place.start()
    assert json.loads(place.ok("status", "--json").out)["notices"] == []

    said = place.ok("image", "upgrade", "--check", "--system", own().nix_system).err
    assert f"Debian has newer packages than {old.name}" in said
    assert "nix-bin 0.1 → " in said
    assert len([path for path in images(place).iterdir() if path.is_dir()]) == 2, "none was made"

    (notice,) = json.loads(place.ok("status", "--json").out)["notices"]
    assert "2 are newer (git, nix-bin)" in notice
    assert notice in place.ok("status").out
    place.ok("stop")
    assert notice in json.loads(place.run("status", "--json").out)["notices"]
    found = place.run("doctor", "--only", "image", "--json").out
    assert "2 are newer (git, nix-bin)" in found


def test_without_a_network_nobody_can_say_what_is_newer(place: Place) -> None:
    packages = place.home / ".cache/snowshed/packages"
    packages.symlink_to(paths.packages_root())
    done = place.run("image", "upgrade", "--check", http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    assert done.status in (1, 2), done.words
    assert "cannot be" in done.err
    assert "Traceback" not in done.err


def test_a_suspended_builder_wakes_with_its_image_and_the_next_start_takes_the_newest(place: Place) -> None:
    place.start()
    first = json.loads(place.ok("status", "--json").out)["image"]
    place.ok("suspend")
    os.kill(status_of(place, "supervisorPid"), signal.SIGKILL)
    with_patience(lambda: not place.processes())

    (folder,) = (path for path in images(place).iterdir() if path.name.startswith(own()))
    newer = put_image(place.home / "other", own())
    about = manifest.decode((newer / manifest.NAME).read_bytes())
    about = msgspec.structs.replace(about, created=about.created + 1)
    (newer / manifest.NAME).write_bytes(manifest.encode(about))
    target = folder.with_name(f"{own()}-ffffffffffffffff")
    newer.rename(target)

    place.ok("start", "--memory", "512", "--cores", "1")
    assert len(place.qemu.journal("restore")) == 1, "nothing that was in its memory is lost"
    assert status_of(place, "image") == first
    place.ok("restart")
    assert status_of(place, "image") == target.name


def test_what_is_pruned_is_what_nobody_uses(place: Place) -> None:
    place.start("--state-dir", str(place.home / "elsewhere"), "--system", own().nix_system)
    try:
        (other,) = (path for path in images(place).iterdir() if not path.name.startswith((own(), ".")))
        asked = place.run("image", "prune")
        assert asked.status == 2
        assert other.name in asked.err
        assert "Say it with --yes." in asked.err
        assert other.exists()
        done = json.loads(place.ok("image", "prune", "--yes", "--json").out)
        assert done["removed"] == [other.name], "the one that a builder runs from stays"
        assert done["bytes"] > 0
        assert not other.exists()
        assert "is used by a builder" in place.ok("image", "prune").err
    finally:
        place.run("stop", "--force", "--state-dir", str(place.home / "elsewhere"))


def test_a_damaged_image_is_named_and_the_others_are_whole(place: Place) -> None:
    assert place.ok("image", "verify").err.count(" is whole.") == 2
    (folder,) = (path for path in images(place).iterdir() if path.name.startswith(own()))
    (folder / manifest.ROOT).write_bytes(b"x" * 512)
    done = place.run("image", "verify")
    assert done.status == 1
    assert f"{folder.name} is damaged: root.erofs has another content than it was made with." in done.err
    assert f"snowshed image rm --force {folder.name}" in done.err
    lines = [json.loads(line) for line in place.run("image", "verify", folder.name, "--json").out.splitlines()]
    assert lines[-1] == {
        "kind": "verified",
        "name": folder.name,
        "damage": ["root.erofs has another content than it was made with"],
    }
    assert place.run("image", "verify", "none").status == 2
