"""Builds in a guest that failed for want of room on its disk, or of processes: told by the end of their logs.

No event of the kernel's tells of either, and once a build has failed Nix has deleted what filled the disk. What the
programs in it said last is in its log, which Nix keeps and closes with the build; the words are those of strerror(3),
ENOSPC, and EAGAIN where somebody tried to start a process or a thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .contract import contract
from .look import UNFIT

LINES = 30
"""At the end of a log. What a test suite says of a full disk that it only plays stands further up."""

LARGEST_KIB = 2048
"""Of a compressed log that is read: an emulated guest unpacks about 10 MiB of text a second."""

FULL_BYTES = 8 << 20
"""With less than this free, Nix too takes its disk for full (``LocalDerivationGoal::cleanupDecideWhetherDiskFull``)."""

_LOG = re.compile(r"[0-9a-z]{30}-(.+)\.drv(\.bz2)?$")

SCRIPT = f"""
PATH=$PATH:/usr/bin:/usr/sbin:/run/current-system/sw/bin
stat -f -c 'free %a %S' {contract().data_dir}
cat /sys/fs/cgroup/builds/pids.max /sys/fs/cgroup/system.slice/nix-daemon.service/pids.max 2>/dev/null |
    sed 's/^/processes /'
cd {contract().data_dir}/nix/var/log/nix/drvs 2>/dev/null || exit 0
seen={contract().run_dir}/logs-seen
if ! [ -e $seen ]; then
    read -r up _ </proc/uptime
    touch -d "@$(($(date +%s) - ${{up%.*}}))" $seen
fi
touch $seen.now
for log in $(find . -type f -newer $seen -size -{LARGEST_KIB}k); do
    case $log in
    *.bz2) bzcat "$log" ;;
    *) cat "$log" ;;
    esac 2>/dev/null | tail -n {LINES} |
        grep -iE 'no space left on device|(fork|clone|thread).*resource temporarily unavailable' |
        tail -n 1 | sed "s|^|log $log |"
done
mv $seen.now $seen
exit 0
"""
"""What the guest is asked: of the logs that were closed since it was asked last, or since its boot."""


@dataclass(frozen=True)
class LastWords:
    """`failed`: the derivations' names and whether each wanted for ``disk`` or for ``processes``. `free` bytes of the
    disk, None if it does not say; all builds may have `processes` together, 0 where nobody knows."""

    failed: tuple[tuple[str, str], ...]
    free: int | None
    processes: int


def parse(answer: str) -> LastWords:
    """What `SCRIPT` printed."""
    failed: list[tuple[str, str]] = []
    free, processes = None, 0
    for line in answer.splitlines():
        kind, _, rest = line.partition(" ")
        words = rest.split()
        if kind == "free" and len(words) == 2 and all(word.isdigit() for word in words):
            free = int(words[0]) * int(words[1])
        elif kind == "processes" and rest.isdigit():
            processes = int(rest)
        elif kind == "log" and words and (match := _LOG.search(words[0])):
            wanted = "disk" if "no space left" in rest.lower() else "processes"
            failed.append((UNFIT.sub("?", match[1])[:211], wanted))
    return LastWords(tuple(failed), free, processes)
