"""A look into the guest: what it uses, and which builds run in it. Taken through the agent while somebody watches.

The script costs a tenth of a second of an emulated processor: it forks a handful of times, whatever runs there. A
build is told by the user it runs as (Nix gives each a build user of its own, ids 30001 to 31000 in both guests), its
name by its directory, ``nix-build-NAME.drv-0``, or, from Nix 2.30 on, which leaves the name out there, by the variable
``name`` of its first process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .contract import contract

TICKS = 100
"""A second in the kernel's figures for people (``USER_HZ``, proc(5)), on both architectures."""
PAGE = 4096

SCRIPT = f"""
PATH=$PATH:/usr/bin:/usr/sbin:/run/current-system/sw/bin
head -n1 /proc/stat
grep -E '^Mem(Total|Available):' /proc/meminfo
stat -f -c 'disk %S %b %f' {contract().data_dir}
set -- {contract().data_dir}/nix/var/log/nix/drvs/*/*
[ -e "$1" ] || set --
echo "logs $#"
read -r up _ </proc/uptime
echo "up $up"
stat -c 'dir %u %n' {contract().data_dir}/build/*/build 2>/dev/null
stats= seen=
for p in $(stat -c '%u:%n' /proc/[0-9]* 2>/dev/null); do
    u=${{p%%:*}} p=${{p#*:}}
    [ "$u" -gt 30000 ] && [ "$u" -le 31000 ] || continue
    echo "own $u ${{p#/proc/}}"
    stats="$stats $p/stat"
    case " $seen " in *" $u "*) continue ;; esac
    seen="$seen $u"
    tr '\\0' '\\n' 2>/dev/null <$p/environ | sed -n "s/^name=/name $u /p"
done
[ -z "$stats" ] || cat $stats 2>/dev/null
exit 0
"""

DIRECTORY = re.compile(r"/nix-build-(.+)\.drv-\d+/build$")
_STAT = re.compile(r"(\d+) \(.*\) \S (.*)")
UNFIT = re.compile(r"[^A-Za-z0-9+._?=-]")
"""What no derivation's name has: a build decides on its environment, and a terminal obeys what it is shown."""


@dataclass(frozen=True)
class Build:
    """A build that runs: `seconds` since it began, `processor` seconds it has used, `memory` bytes it holds."""

    name: str
    seconds: float
    processor: float
    memory: int
    processes: int


@dataclass(frozen=True)
class Look:
    """What a guest is at. `processor`: seconds that its processors have worked since boot; sizes in bytes.

    `logs` counts the build logs of its store: one for each derivation that was ever built there.
    """

    processor: float
    memory: int
    available: int
    disk: int
    disk_used: int
    logs: int
    builds: tuple[Build, ...]


def parse(text: str) -> Look:
    """What `SCRIPT` printed. Raises `ValueError` where it is not that."""
    words: dict[str, list[str]] = {}
    lines = [line for line in text.splitlines() if line]
    for line in lines:
        first, *rest = line.split()
        words.setdefault(first, rest)
    try:
        ticks = [int(word) for word in words["cpu"]]
        size, blocks, free = (int(word) for word in words["disk"])
        return Look(
            processor=(sum(ticks[:3]) + sum(ticks[5:8])) / TICKS,  # all but idle and waiting; guests within count once
            memory=int(words["MemTotal:"][0]) << 10,
            available=int(words["MemAvailable:"][0]) << 10,
            disk=size * blocks,
            disk_used=size * (blocks - free),
            logs=int(words["logs"][0]),
            builds=tuple(_builds(lines, float(words["up"][0]))),
        )
    except (KeyError, IndexError) as error:
        raise ValueError(f"the guest's answer lacks {error}") from error


def _builds(lines: Iterable[str], up: float) -> Iterable[Build]:
    """Build users with processes, the one that began first at the top."""
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    processes: dict[str, list[list[str]]] = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "own":
            user, _, pid = rest.partition(" ")
            owners[pid] = user
        elif kind == "dir" and (match := DIRECTORY.search(rest)):
            names[rest.split()[0]] = match[1]
        elif kind == "name":
            user, _, name = rest.partition(" ")
            names.setdefault(user, name)
        elif (match := _STAT.match(line)) and match[1] in owners:
            processes.setdefault(owners[match[1]], []).append(match[2].split())
    found = [_build(UNFIT.sub("?", names.get(user, f"user-{user}"))[:211], its, up) for user, its in processes.items()]
    return sorted(found, key=lambda build: -build.seconds)


def _build(name: str, processes: list[list[str]], up: float) -> Build:
    """Fields are counted from the parent's id on, the fourth of proc(5): user, system and waited-for children's time
    are its 14th to 17th, the start its 22nd, pages of memory its 24th."""
    began = min(int(fields[18]) for fields in processes) / TICKS
    used = sum(int(field) for fields in processes for field in fields[10:14]) / TICKS
    memory = sum(int(fields[20]) for fields in processes) * PAGE
    return Build(name, max(0.0, up - began), used, memory, len(processes))
