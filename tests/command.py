"""The real `snowshed` command in a home of its own, with the real supervisor and a stand-in for QEMU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from fakes.qemu import FakeQemu
from specs import INITRD, KERNELS

from snowshed.guest.contract import contract
from snowshed.images import manifest, recipe, store
from snowshed.images.manifest import LinuxImage, Manifest
from snowshed.model.machine import Arch

PATIENCE = 30.0
"""Seconds after which something that a test waits for will not come any more."""


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All it said, for the message of a failed test."""
        return f"status {self.status}\n{self.out}{self.err}"


class Place:
    """A home directory with an image for each architecture, and QEMU's stand-in first on the ``PATH``."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.qemu = FakeQemu(folder / "qemu")
        self.environment = {"HOME": str(self.home), "PATH": self.qemu.path, "COLUMNS": "200"}
        for arch in Arch:
            put_image(self.home / ".cache/snowshed/images", arch)

    @property
    def state(self) -> Path:
        """The state directory of the default builder."""
        return self.home / ".local/share/snowshed/default"

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "snowshed.cli", *words]

    def run(self, *words: str, **environment: str) -> Done:
        """Run `snowshed` to its end."""
        done = subprocess.run(
            self.argv(*words),
            env={**self.environment, **environment},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=2 * PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str) -> Done:
        """Run `snowshed` and see that it succeeds."""
        done = self.run(*words)
        assert done.status == 0, f"{done.words}\n{self.log()}"
        return done

    def log(self) -> str:
        """What the default builder's supervisor said."""
        file = self.state / "supervisor.log"
        return file.read_text() if file.exists() else ""

    def start(self, *words: str) -> Done:
        """Start the default builder, small and on a port of its own."""
        return self.ok("start", "--port", str(free_port()), "--memory", "512", "--cores", "1", *words)

    def spawn(self, *words: str) -> subprocess.Popen[str]:
        """`snowshed` as a terminal runs it: in a process group of its own, which Ctrl-C is sent to."""
        return subprocess.Popen(
            self.argv(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def processes(self) -> dict[int, str]:
        """Every process that descends from this place, by what it inherited: our home directory."""
        mark = f"HOME={self.home}\0".encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes() + b"\0":
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
        return found

    @classmethod
    @contextmanager
    def made(cls, *, stops: bool = False) -> Iterator[Self]:
        """A place in a directory with a short path, as a home has; nothing may run there afterwards.

        With `stops` its default builder is stopped first: for tests that are about something else.
        """
        with TemporaryDirectory(prefix="snowshed-test-") as folder:
            place = cls(Path(folder))
            try:
                yield place
            finally:
                if stops:
                    place.run("stop", "--force")
                left = place.end()
            assert left == {}, "processes were left behind"

    def end(self) -> dict[int, str]:
        """End whatever is left, and say what it was."""
        left = self.processes()
        for pid in left:
            with_patience(lambda pid=pid: _killed(pid))
        return left


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_patience(condition: Callable[[], Any], say: Callable[[], Any] = lambda: "") -> None:
    """Return once `condition` holds: for what other processes do, of which no event tells us.

    `say` is asked for what the failure should name.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain {say()}"
        time.sleep(0.02)


def interrupt(process: subprocess.Popen[str]) -> Done:
    """Press Ctrl-C, and return what the command ends with."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return Done(process.returncode, out, err)


def put_image(root: Path, arch: Arch) -> Path:
    """An image that this version takes for its own, of files that boot nothing."""
    digest = f"{arch:0<64}".encode().hex()[:64]
    folder = root / store.name_of(arch, digest)
    folder.mkdir(parents=True)
    files = {manifest.KERNEL: KERNELS[arch], manifest.INITRD: INITRD, manifest.ROOT: bytes(512)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    about = Manifest(
        contract=contract().version,
        digest=digest,
        recipe=recipe.digest(),
        system=arch.nix_system,
        suite="trixie",
        created=0,
        boot=LinuxImage("6.12", "quiet"),
        packages=(),
        files={name: manifest.describe(folder / name) for name in files},
    )
    (folder / manifest.NAME).write_bytes(manifest.encode(about))
    return folder


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    return False
