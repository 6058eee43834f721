"""A guest's answer to a look into it (`snowshed.guest.look`)."""

from __future__ import annotations

MARK = "head -n1 /proc/stat"
"""By which its script is told from others."""

CULPRIT = "cat /sys/fs/cgroup/builds/memory.max"
"""The same for the script that asks whose build ran out of memory."""

DROP = "/proc/sys/vm/drop_caches"
"""And for the one that frees the file cache."""


def answer(*builds: str, logs: int = 3) -> str:
    """Of a guest of 1 GiB and 8 GiB in which `builds` have run for ten seconds, each busy for five of them."""
    lines = [
        "cpu  1000 0 2000 9000 0 0 0 0 0 0",
        "MemTotal:        1048576 kB",
        "MemAvailable:     524288 kB",
        "disk 4096 2097152 2096896",
        f"logs {logs}",
        "up 100.00",
    ]
    stats = []
    for number, name in enumerate(builds, start=1):
        user, process = 30000 + number, 200 + number
        lines += [f"dir {user} /data/build/nix-build-{name}.drv-0/build", f"own {user} {process}"]
        stats.append(f"{process} (sh) S 1 1 1 0 -1 0 0 0 0 0 400 100 0 0 20 0 1 0 9000 0 256 0 0 0 0 0 0")
    return "\n".join([*lines, *stats]) + "\n"


FREE, COLLECTS, LAST_WORDS = "'%a %S'", "nix-store --gc", "logs-seen"
"""And for those that ask how much of the disk is free, collect garbage, and ask what builds said last."""
