"""A guest whose machine has no clock at all, on aarch64: its kernel starts in 1970, and nobody sees it there.

The time is the host's from the first connection on, and after a sleep.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Done, free_port, with_patience
from real import SMALL, RealPlace
from snowshed.process import find

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

WITHOUT_CLOCK = """#!{python}
import os, sys
argv = sys.argv[1:]
if "-append" in argv:
    argv[argv.index("-append") + 1] += " initcall_blacklist=pl031_driver_init"
os.execv("{qemu}", ["{qemu}", *argv])
"""
"""QEMU's `virt` machine always has a PL031; its kernel is told to leave it alone."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[RealPlace]:
    program = tmp_path / "qemu-system-aarch64"
    program.write_text(WITHOUT_CLOCK.format(python=sys.executable, qemu=find(program.name, "")))
    program.chmod(0o755)
    with RealPlace.made(stops=True) as made:
        made.environment["PATH"] = f"{tmp_path}:{made.environment['PATH']}"
        yield made


def is_exact(place: RealPlace) -> None:
    """The next connection, which may wake the guest, sees the host's time to within a second."""
    before = time.time()
    told = int(place.ok("ssh", "date +%s").out)
    assert before - 1 <= told <= time.time() + 1


def test_a_guest_without_a_clock_has_the_hosts_time_whenever_somebody_is_let_in(place: RealPlace) -> None:
    words = ("start", "--port", str(free_port()), *SMALL, "--system", "aarch64-linux")
    starting = place.spawn(*words)
    first: list[Done] = []

    def is_let_in() -> bool:
        first.append(place.run("ssh", "date +%s; ls /dev/rtc*"))
        return first[-1].out != ""

    with_patience(is_let_in, say=lambda: first[-1].words)
    told, now = int(first[-1].out.split()[0]), time.time()
    assert now - 2 <= told <= now + 1, "it is let in after the clock is set"
    assert "No such file" in first[-1].err, "it has no clock of its own"
    assert starting.wait() == 0, starting.communicate()

    place.ok("suspend")
    is_exact(place)
