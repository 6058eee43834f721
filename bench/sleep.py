"""What sleeping costs and saves, as ratios within one run.

    python bench/sleep.py [ROUNDS]

Cold boot, wake from suspend and wake from pause to the banner through the forwarder's port; the time of a suspend of
a 2 GiB guest that has used 300 MB; and what a supervisor costs while its builder is suspended. Targets: a wake at most
0.15 of a cold boot; paused at most 50 ms more than a direct connection; a suspend at most 0.8 s; 40 MB and 2 voluntary
context switches a minute.
"""

from __future__ import annotations

import re
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from clients import status_of
from command import free_port
from real import RealPlace

WATCHED_SECONDS = 60
USE_300_MB = "dd if=/dev/urandom of=/tmp/used bs=1M count=300 2>/dev/null; sync"


def to_banner(port: int) -> float:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        assert client.recv(16)
    return time.perf_counter() - began


def timed(place: RealPlace, *words: str) -> float:
    began = time.perf_counter()
    place.ok(*words)
    return time.perf_counter() - began


def switches(pid: int) -> int:
    """Voluntary context switches of a process so far (proc(5))."""
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) if found else 0


def resident(pid: int) -> float:
    """MB that a process holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) / 1000 if found else 0.0


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cold, suspends, wakes, pauses, direct = [], [], [], [], []
    with RealPlace.made(stops=True) as place:
        port = free_port()
        options = ("--port", str(port), "--memory", "2GiB", "--cores", "2")
        place.ok("start", *options)
        for _ in range(rounds):
            place.ok("stop")
            with place.spawn("run", "--on-demand", *options) as supervisor:
                while status_of(place, "supervisorPid") is None:
                    time.sleep(0.05)
                cold.append(to_banner(port))
                while status_of(place, "readyAt") is None:  # a builder that goes to sleep has come up long before
                    time.sleep(0.05)
                place.ok("ssh", USE_300_MB)
                suspends.append(timed(place, "suspend"))
                wakes.append(to_banner(port))
                direct.append(to_banner(port))
                place.ok("pause")
                pauses.append(to_banner(port))
                if len(cold) == rounds:
                    place.ok("suspend")
                    time.sleep(5)
                    pid = status_of(place, "supervisorPid")
                    before = switches(pid)
                    time.sleep(WATCHED_SECONDS)
                    cost = f"{resident(pid):.0f} MB, {switches(pid) - before} voluntary context switches a minute"
                place.ok("stop")
                supervisor.wait()
        place.ok("start", *options)
    boot, wake = statistics.median(cold), statistics.median(wakes)
    print(f"cold boot to banner        {boot:6.2f} s")
    print(f"suspended to banner        {wake:6.2f} s, {wake / boot:.2f} of a cold boot")
    more = (statistics.median(pauses) - statistics.median(direct)) * 1000
    print(f"paused to banner           {more:+6.0f} ms more than direct")
    print(f"suspend, the whole command {statistics.median(suspends):6.2f} s")
    print(f"a supervisor whose builder is suspended: {cost}")


if __name__ == "__main__":
    main()
