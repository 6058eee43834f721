"""`make demo`, for real: a guest of the other architecture, and the host's own Nix building on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from command import with_patience
from snowshed.config import Host
from snowshed.model.machine import Arch

pytestmark = pytest.mark.vm

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
OTHER = Arch.X86_64 if Host.this().arch is Arch.AARCH64 else Arch.AARCH64
FILE_SAYS = {Arch.AARCH64: "ARM aarch64", Arch.X86_64: "x86-64"}


class Demo:
    """The demo as a terminal runs it, with a mark in its environment by which its processes are found."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self._mark = f"SNOWSHED_TEST_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, DEMO],
            env={**os.environ, name: value, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def until(self, text: str) -> str:
        """All that it says up to a line with `text` in it, or up to its end."""
        said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said += line
            if text in line:
                break
        return said

    def alive(self) -> list[str]:
        """The processes that the demo started, directly or not."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def left_nothing(self) -> None:
        with_patience(lambda: self.alive() == [], say=self.alive)
        assert list(self.temporary.iterdir()) == []


@pytest.fixture
def demo() -> Iterator[Demo]:
    with TemporaryDirectory(prefix="snowshed-test-") as folder:
        demo = Demo(Path(folder))
        try:
            yield demo
        finally:
            if demo.process.poll() is None:
                demo.process.terminate()
                demo.process.communicate()


@pytest.mark.timeout(1200)  # two builds in an emulated guest, on a machine that may be busy
def test_a_stranger_sees_two_builds_that_their_machine_cannot_do(demo: Demo) -> None:
    said = demo.until("no line holds this")
    assert demo.process.wait() == 0, said
    assert f"{OTHER} GNU/Linux" in said
    assert f"Hello from {OTHER}, compiled and run inside a Nix build." in said
    assert FILE_SAYS[OTHER] in said
    assert "It took, in seconds: image" in said
    demo.left_nothing()


@pytest.mark.parametrize(
    ("moment", "number"),
    [("$ snowshed start", signal.SIGINT), ("== A build that says where it ran", signal.SIGTERM)],
    ids=["ctrl-c", "terminated"],
)
def test_whoever_has_seen_enough_is_left_with_nothing(moment: str, number: signal.Signals, demo: Demo) -> None:
    said = demo.until(moment)
    assert moment in said, said
    os.killpg(demo.process.pid, number)
    said += demo.until("no line holds this")
    assert demo.process.wait() == 130, said
    assert "Traceback" not in said
    demo.left_nothing()
