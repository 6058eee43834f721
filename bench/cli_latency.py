"""How long the command line takes to answer, as a multiple of starting Python and doing nothing.

    python bench/cli_latency.py [ROUNDS]

Each round runs every command once, in an order that alternates (ABBA), so that what else the machine does falls on
all alike; the figures are medians within this run. The target for `status --json` is 6.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SNOWSHED = str(Path(sys.executable).with_name("snowshed"))
BASE = "python3 -c pass"
COMMANDS = {
    BASE: [sys.executable, "-c", "pass"],
    "snowshed status --json": [SNOWSHED, "status", "--json"],
    "snowshed status": [SNOWSHED, "status"],
    "snowshed --help": [SNOWSHED, "--help"],
    "snowshed machines": [SNOWSHED, "machines"],
}


def seconds(argv: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        for round_ in range(rounds):
            names = list(COMMANDS) if round_ % 2 == 0 else list(reversed(COMMANDS))
            for name in names:
                taken[name].append(seconds(COMMANDS[name], environment))
    base = statistics.median(taken[BASE])
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:26} {middle * 1000:7.1f} ms  {middle / base:5.2f} times {BASE}")


if __name__ == "__main__":
    main()
