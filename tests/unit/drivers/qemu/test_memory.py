"""What QEMU costs the host, and what the host is told about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snowshed.drivers.qemu import memory
from snowshed.units import KIB


def test_what_a_process_holds() -> None:
    assert memory.parse_status("Name:\tqemu\nVmRSS:\t  2048 kB\n") == 2048 * KIB
    assert memory.parse_status("Name:\tzombie\n") is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has scores")
def test_a_host_without_memory_ends_the_guest_first() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        score = Path(f"/proc/{child.pid}/oom_score_adj")
        before = int(score.read_text())
        memory.goes_first(child.pid)
        assert int(score.read_text()) == min(1000, before + memory.SACRIFICE)
        child.kill()


def test_a_process_that_is_gone_is_no_matter() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    memory.goes_first(child.pid)
