"""Memory that ran out in a guest: what its kernel says then, and whose build that was.

The kernel ends the largest process of those that share a limit, and says so with a line that even a quiet console shows
(``__oom_kill_process`` in Linux' ``mm/oom_kill.c``). The user in it tells a build from all else; its name is that of
the directory it works in, as in `look`. Of a build that ended with its process the directory is gone before anybody can
look: then it is the one whose log in the guest's store was written last, for Nix closes it with the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..units import KIB
from .contract import contract
from .look import DIRECTORY, UNFIT

MARK = "ut of memory: Killed process "
"""What the line has in it, whether it was the memory of builds that ran out or all of it."""

_KILLED = re.compile(r"\d+ \((.*)\) total-vm:.*?anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB, UID:(\d+) ")
_LOG = re.compile(r"[0-9a-z]{30}-(.+)\.drv(\.bz2)?$")
_BUILD_USERS = range(30001, 31001)
"""Of both guests."""


@dataclass(frozen=True)
class Kill:
    """A process that the kernel ended: its name, the bytes that it held, and the id of its user."""

    process: str
    held: int
    user: int

    @property
    def is_build(self) -> bool:
        return self.user in _BUILD_USERS


def parse_kill(text: str) -> Kill | None:
    """What the kernel said after `MARK`; None where it is not that."""
    match = _KILLED.match(text)
    if match is None:
        return None
    process, *held, user = match.groups()
    return Kill(process, sum(map(int, held)) * KIB, int(user))


def script(user: int) -> str:
    """What the guest is asked about the build that runs, or ran, as `user`."""
    data = contract().data_dir
    return f"""
PATH=$PATH:/usr/bin:/usr/sbin:/run/current-system/sw/bin
stat -c 'dir %u %n' {data}/build/*/build 2>/dev/null
for p in $(stat -c '%u:%n' /proc/[0-9]* 2>/dev/null); do
    [ "${{p%%:*}}" != {user} ] || tr '\\0' '\\n' 2>/dev/null <"${{p#*:}}/environ" | sed -n 's/^name=/name {user} /p'
done
cat /sys/fs/cgroup/builds/memory.max /sys/fs/cgroup/system.slice/nix-daemon.service/memory.max 2>/dev/null |
    sed 's/^/limit /'
ls -t {data}/nix/var/log/nix/drvs/*/* 2>/dev/null | head -n 1 | sed 's/^/log /'
exit 0
"""


def culprit(user: int, answer: str) -> tuple[str, int]:
    """From the answer to `script`: the derivation's name, empty where nothing tells it; and the bytes that all builds
    may hold together, 0 where there is no limit."""
    named, logged, limit = "", "", 0
    for line in answer.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "limit" and rest.isdigit():
            limit = int(rest)
        elif kind == "log" and (match := _LOG.search(rest)):
            logged = match[1]
        elif kind in ("dir", "name") and rest.startswith(f"{user} ") and not named:
            directory = DIRECTORY.search(rest)
            named = directory[1] if directory else rest.partition(" ")[2] if kind == "name" else ""
    return UNFIT.sub("?", named or logged)[:211], limit
