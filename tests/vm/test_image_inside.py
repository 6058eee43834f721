"""A host without apt asks Debian through a builder: over its real SSH connection, on its real data disk. How an image
is made there is in `tests/integration/test_image_inside.py`, at the speed of the host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from real import RealPlace
from snowshed.images.apt import host_mirror

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[RealPlace]:
    place = RealPlace(tmp_path)
    yield place
    place.run("stop", "--force")


def answer(cache: Path) -> str:
    """The image that Debian's packages were said to make when it was last asked."""
    return str(json.loads((cache / "snowshed/newest.json").read_text())["x86_64-linux trixie"]["image"])


def test_a_host_without_apt_asks_debian_through_its_builder(place: RealPlace, tmp_path: Path) -> None:
    place.start("--system", "x86_64-linux", "--network", "nat")
    tools = tmp_path / "tools"
    tools.mkdir()
    ssh = shutil.which("ssh")
    assert ssh is not None
    (tools / "ssh").symlink_to(ssh)
    without_apt = {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ("image", "upgrade", "--check", "--system", "x86_64-linux")
    done = place.run(*words, "--mirror", host_mirror(), **without_apt)
    assert done.status == 0, done.words
    assert "the builder default does it" in done.err
    place.ok(*words)
    assert answer(tmp_path / "cache") == answer(Path(place.environment["XDG_CACHE_HOME"]))
    assert place.ok("ssh", "ls", "/data/home/image-workshop").out.split() == ["cache", "tree"]
    place.ok("gc")
    assert place.ok("ssh", "ls", "/data/home").out == ""
