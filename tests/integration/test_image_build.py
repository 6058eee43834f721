"""Images made for real, from the packages of the mirror that this host's apt uses: what `snowshed image build` does.

Every test has its own folder of images; the downloaded packages are those of whoever runs the tests.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import with_patience
from snowshed import paths
from snowshed.config import Host
from snowshed.images import gpt, manifest, raw, store

pytestmark = pytest.mark.timeout(600)

UNREACHABLE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
Build = subprocess.Popen[str]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without images, and with the packages that were downloaded before."""
    packages = paths.packages_root()
    packages.mkdir(parents=True, exist_ok=True)
    (tmp_path / "snowshed").mkdir()
    (tmp_path / "snowshed/packages").symlink_to(packages)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def start(*words: str, **environment: str) -> Build:
    """`snowshed image build` for a machine like this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "snowshed.cli", "image", "build", *words],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def end(build: Build, status: int = 0) -> tuple[str, str]:
    out, err = build.communicate(timeout=300)
    assert build.returncode == status, out + err
    return out.strip(), err


def in_folder() -> list[str]:
    """What lies where images do."""
    root = paths.images_root()
    return sorted(path.name for path in root.iterdir() if path.name != ".lock") if root.exists() else []


def in_the_middle() -> bool:
    """Whether a build is putting a root file system together just now."""
    return any(paths.images_root().glob(".building-*/tree/usr/bin/nix"))


def files_of(image: store.Image) -> dict[str, str]:
    return {name: about.sha256 for name, about in image.manifest.files.items()}


def test_an_image_is_what_its_manifest_says_and_is_made_once(cache: Path) -> None:
    place, said = end(start())
    assert "made in" in said
    (image,) = store.images()
    assert place == str(image.path)
    assert image.arch is Host.this().arch
    for name, about in image.manifest.files.items():
        assert manifest.describe(image.path / name) == about
        assert (image.path / name).stat().st_mode & 0o222 == 0
    names = {package.name for package in image.manifest.packages}
    assert names >= {"nix-bin", "openssh-server", "busybox-static", "qemu-guest-agent"}

    again, said = end(start())
    assert (again, "there already" in said) == (place, True)

    # Without a network the lists of the last time do, and lead to the same image.
    again, said = end(start(**UNREACHABLE))
    assert again == place
    assert "The mirror could not be reached" in said
    assert in_folder() == [image.name]

    # From the same packages the same bytes come, whoever makes them and whenever.
    before = files_of(image)
    store.remove(image)
    end(start())
    (made_again,) = store.images()
    assert files_of(made_again) == before

    # As a disk for firmware it is made of the same parts, which are there already.
    place, said = end(start("--efi"))
    assert "root file system" not in said
    disk = Path(place, manifest.DISK)
    root = gpt.read(disk.open("rb")).partitions[1]
    content = (made_again.path / manifest.ROOT).read_bytes()
    with disk.open("rb") as stream:
        stream.seek(root.first * gpt.SECTOR)
        assert stream.read(len(content)) == content
    assert raw.inspect(disk).archs == (Host.this().arch,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_build_leaves_nothing(cache: Path, number: signal.Signals) -> None:
    build = start()
    with_patience(in_the_middle)
    os.killpg(build.pid, number)
    _, said = end(build, 130)
    assert "interrupted" in said
    assert "Traceback" not in said
    assert in_folder() == []


def test_what_a_killed_build_leaves_is_no_image_and_is_swept_away(cache: Path) -> None:
    build = start()
    with_patience(in_the_middle)
    os.killpg(build.pid, signal.SIGKILL)
    end(build, -signal.SIGKILL)
    assert len(in_folder()) == 1
    assert store.images() == []
    end(start())
    assert in_folder() == [image.name for image in store.images()]


def test_two_builds_at_once_make_one_image(cache: Path) -> None:
    builds = [start(), start()]
    results = [end(build) for build in builds]
    assert len({place for place, _ in results}) == 1
    assert sorted("there already" in said for _, said in results) == [False, True]
    assert len(in_folder()) == 1


def test_a_build_waits_for_another_and_says_so(cache: Path) -> None:
    paths.images_root().mkdir(parents=True)
    with (paths.images_root() / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build = start()
        assert build.stderr is not None
        said = build.stderr.readline()
        os.killpg(build.pid, signal.SIGTERM)
        end(build, 130)
    assert "another image build" in said


def test_no_lists_and_no_network_is_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _, said = end(start(**UNREACHABLE), 2)
    assert "cannot be had" in said
    assert "Check the network, --mirror and --suite." in said
    assert in_folder() == []


@pytest.mark.parametrize(
    ("make", "words", "sentence"),
    [
        (None, ["--system", "riscv64-linux"], "not a system that a builder can have"),
        (None, ["--suite", "no/such"], "not the name of a Debian suite"),
        (None, ["--mirror", "somewhere"], "not the address of a Debian mirror"),
        (None, ["--mirror", "file:/nowhere"], "cannot be had"),
        (lambda cache: (cache / "snowshed/images").write_text(""), [], "Images cannot be kept in"),
    ],
    ids=["system", "suite", "mirror", "empty mirror", "file in the way"],
)
def test_bad_input_is_answered_with_a_sentence(
    cache: Path, make: Callable[[Path], object] | None, words: list[str], sentence: str
) -> None:
    if make:
        make(cache)
    done = subprocess.run(
        [sys.executable, "-m", "snowshed.cli", "image", "build", *words], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
