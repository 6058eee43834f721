"""What a process costs the host."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from ...errors import GuestError
from ...process import run
from ...units import KIB

_PS_SECONDS = 5.0

SACRIFICE = 200


def resident(pid: int) -> int | None:
    """The bytes of the host's memory that process `pid` holds, shared pages included; None if it is gone."""
    if sys.platform == "linux":
        with suppress(OSError):
            return parse_status(Path(f"/proc/{pid}/status").read_text())
        return None
    try:
        return int(run(["ps", "-o", "rss=", "-p", str(pid)], timeout=_PS_SECONDS)) * KIB
    except (GuestError, ValueError):
        return None


def resident_with_children(pid: int) -> int:
    """The bytes that `pid` and, on Linux, its children hold."""
    children: list[int] = []
    with suppress(OSError):
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return sum(resident(process) or 0 for process in [pid, *children])


def goes_first(pid: int) -> None:
    """Have a Linux host that runs out of memory end process `pid`, which is ours, before the host's other programs.

    Everybody may make a process of theirs likelier to be chosen (``/proc/PID/oom_score_adj``, proc(5)): here as if it
    held `SACRIFICE` thousandths of the host's memory more.
    """
    with suppress(OSError, ValueError):
        score = Path(f"/proc/{pid}/oom_score_adj")
        score.write_text(f"{min(1000, int(score.read_text()) + SACRIFICE)}\n")


def parse_status(text: str) -> int | None:
    """The bytes after ``VmRSS:`` in ``/proc/PID/status`` (proc(5)); None for a process that has no memory any more."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    return None
