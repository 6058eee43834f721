"""launchd: the property list of a builder's job, the launcher that it names, and the commands that load it. Pure.

On demand, launchd itself holds the listening socket (``Sockets``) and starts the job at the first connection; the
job takes the socket over with launch_activate_socket(3). Otherwise the job starts with the system and holds its own.

A job that ended well stays down (``KeepAlive`` only restarts after a failure): `snowshed stop` means stop, and an
idle builder that ended would otherwise be started again for ever. What the keys mean is in launchd.plist(5).
"""

from __future__ import annotations

import math
import plistlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOCKET_NAME = "ssh"
EXIT_MARGIN = 20
"""Seconds that launchd waits longer than the guest may take to shut down, before it kills us: by then the plug is
pulled and everything written."""
OPEN_FILES = 16384
"""Every connection takes two descriptors, and launchd's own limit is 256."""
THROTTLE = 1
"""Seconds between two starts. The default of 10 would make the connection after a `stop` wait as long."""


@dataclass(frozen=True)
class Job:
    """A builder as launchd runs it. `program` is the whole command line, absolute; with `user` None the job belongs to
    a user's own domain. `stop_grace` is seconds.
    """

    builder: str
    program: tuple[str, ...]
    launcher: Path
    port: int
    state: Path
    log: Path
    on_demand: bool = True
    stop_grace: float = 30.0
    user: str | None = None
    group: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"org.snowshed.{self.builder}"


def plist(job: Job) -> dict[str, object]:
    """The job's property list."""
    found: dict[str, object] = {
        "Label": job.label,
        "ProgramArguments": [str(job.launcher), *job.program],
        "WorkingDirectory": str(job.state),
        "StandardOutPath": str(job.log),
        "StandardErrorPath": str(job.log),
        "KeepAlive": {"SuccessfulExit": False},
        "RunAtLoad": not job.on_demand,
        "ExitTimeOut": math.ceil(job.stop_grace) + EXIT_MARGIN,
        "ThrottleInterval": THROTTLE,
        "ProcessType": "Interactive",
        "SoftResourceLimits": {"NumberOfFiles": OPEN_FILES},
        "HardResourceLimits": {"NumberOfFiles": OPEN_FILES},
        "Umask": 0o077,
    }
    if job.on_demand:
        # the two conditions do not go together: launchd restarts after a failure only what it keeps alive
        del found["KeepAlive"]
        found["Sockets"] = {SOCKET_NAME: _listener(job.port)}
    if job.user is not None:
        found |= {"UserName": job.user, "GroupName": job.group or job.user, "InitGroups": True}
    if job.environment:
        found["EnvironmentVariables"] = dict(job.environment)
    return found


def _listener(port: int) -> dict[str, object]:
    """A socket on the loopback alone. Without the family launchd makes one of IPv6 as well where it can."""
    return {
        "SockNodeName": "127.0.0.1",
        "SockServiceName": str(port),
        "SockFamily": "IPv4",
        "SockType": "stream",
        "SockPassive": True,
    }


def render(job: Job) -> bytes:
    """The property list as the file that launchd reads."""
    return plistlib.dumps(plist(job))


LAUNCHER = """\
#!/bin/sh
# Starts snowshed for launchd. It lies outside the Nix store, under a name of its own for the list of background
# items, because its job may start before the volume with the store is unlocked and mounted.
case $1 in
/nix/store/*) {wait4path} /nix/store && {wait4path} "$1" ;;
/nix/* | /run/current-system/*) {wait4path} "$1" ;;
esac
exec "$@"
"""


def launcher(wait4path: str = "/bin/wait4path") -> str:
    """The launcher's text. wait4path(1) waits for a mount, without looking again and again."""
    return LAUNCHER.format(wait4path=wait4path)


@dataclass(frozen=True)
class Layout:
    """Where the files of a domain lie: the system's, or that of the user with the home `home`."""

    home: Path | None = None

    def plist(self, job: Job) -> Path:
        folder = Path("/Library/LaunchDaemons") if self.home is None else self.home / "Library/LaunchAgents"
        return folder / f"{job.label}.plist"

    @property
    def launcher(self) -> Path:
        return (self.home or Path("/")) / "Library/Application Support/snowshed/snowshed"

    def log(self, builder: str) -> Path:
        folder = Path("/var/log/snowshed") if self.home is None else self.home / "Library/Logs/snowshed"
        return folder / f"{builder}.log"

    def domain(self, uid: int) -> str:
        """launchctl's name for the domain; `uid` is the user's, for a user's own."""
        return "system" if self.home is None else f"gui/{uid}"


def load_commands(job: Job, layout: Layout, uid: int) -> list[list[str]]:
    """What makes launchd run the job, after its files are written; it may have been disabled before."""
    domain = layout.domain(uid)
    return [
        ["/bin/launchctl", "enable", f"{domain}/{job.label}"],
        ["/bin/launchctl", "bootstrap", domain, str(layout.plist(job))],
    ]


def unload_command(job: Job, layout: Layout, uid: int) -> list[str]:
    """What ends the job and makes launchd forget it. It fails where launchd does not know the job."""
    return ["/bin/launchctl", "bootout", f"{layout.domain(uid)}/{job.label}"]


USER_IDS = range(360, 400)
"""Ids for the service's own user: below 400 they are hidden from the login window. Nix takes 301 to 332 or 351 to
382 for its builders, by installer, so ids in use are left out by whoever picks one."""


def free_id(taken: Sequence[int]) -> int:
    """The first of `USER_IDS` that neither a user nor a group has. Raises `LookupError`."""
    for number in USER_IDS:
        if number not in taken:
            return number
    raise LookupError("no free user id")


def account_commands(name: str, number: int, home: Path) -> list[list[str]]:
    """What makes the service's own user and group, by dscl(1): no shell, no password, no Nix build group."""
    user, group = f"/Users/{name}", f"/Groups/{name}"
    create = ["/usr/bin/dscl", ".", "-create"]
    return [
        [*create, group],
        [*create, group, "PrimaryGroupID", str(number)],
        [*create, user],
        [*create, user, "UniqueID", str(number)],
        [*create, user, "PrimaryGroupID", str(number)],
        [*create, user, "NFSHomeDirectory", str(home)],
        [*create, user, "UserShell", "/usr/bin/false"],
        [*create, user, "RealName", "snowshed"],
        [*create, user, "IsHidden", "1"],
    ]


def remove_account_commands(name: str) -> list[list[str]]:
    """What takes the user and the group away again."""
    return [["/usr/bin/dscl", ".", "-delete", f"/{kind}/{name}"] for kind in ("Users", "Groups")]
