"""From a description to the steps that install it, and those that take it away again. Pure.

What a system builder consists of: an account without privileges, ``/var/lib/snowshed/<builder>``, its configuration
in ``/etc/snowshed``, and what the init system needs. What a user's own consists of: what the init system needs.
Taking it away leaves the system's builder its disk, owned by root, and a user's own builder everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..paths import SYSTEM_CONFIG, SYSTEM_STATE
from . import launchd, systemd
from .description import Description
from .steps import Folder, Remove, Run, Step, Write, run

ACCOUNTS = {"linux": "snowshed", "darwin": "_snowshed"}
WRITTEN = "# Written by `snowshed service install`; change it and `snowshed service install` anew.\n"


@dataclass(frozen=True)
class Host:
    """What an installation depends on: the platform, whether the account is there, and ids that are taken (macOS)."""

    platform: str
    has_account: bool = False
    taken_ids: tuple[int, ...] = ()
    uid: int = 0
    nologin: str = "/usr/sbin/nologin"

    @property
    def is_mac(self) -> bool:
        return self.platform == "darwin"


def as_account(words: str, platform: str) -> str:
    """The line for a shell that runs ``snowshed WORDS`` as the account of the system's builders."""
    return f"sudo -H -u {ACCOUNTS.get(platform, ACCOUNTS['linux'])} snowshed {words}"


def install(service: Description, host: Host, configuration: str) -> list[Step]:
    """The steps that install `service`; `configuration` is written where there is none yet."""
    steps: list[Step] = []
    if service.is_system:
        steps += _account(service, host)
        steps += [
            Folder(SYSTEM_STATE, 0o755),
            Folder(service.state, 0o711, service.user),
            # a disk that an earlier installation has left is root's
            run(["chown", "-R", f"{service.user}:{service.user}", str(service.state)]),
            Folder(SYSTEM_STATE / ".cache", 0o755, service.user),
        ]
    steps.append(Write(service.config, (WRITTEN + configuration).encode(), keep=True))
    return steps


def start(service: Description, host: Host) -> list[Step]:
    """The steps that hand the service to the init system; after `install`, and after an image is there."""
    return _launchd_start(service, host) if host.is_mac else _systemd_start(service)


def _systemd_start(service: Description) -> list[Step]:
    layout = systemd.Layout(service.home)
    return [
        Write(layout.socket(service.builder), systemd.socket_unit(service).encode()),
        Write(layout.service(service.builder), systemd.service_unit(service).encode()),
        *(run(argv) for argv in systemd.load_commands(service)),
    ]


def job_of(service: Description) -> launchd.Job:
    """The service as a job of launchd's."""
    layout = launchd.Layout(service.home)
    environment = {"PATH": service.search_path}
    if service.is_system:
        environment["HOME"] = str(SYSTEM_STATE)
    return launchd.Job(
        builder=service.builder,
        program=service.program,
        launcher=layout.launcher,
        port=service.port,
        state=service.state,
        log=layout.log(service.builder),
        on_demand=service.on_demand,
        stop_grace=service.stop_grace,
        user=service.user or None,
        environment=environment,
    )


def _launchd_start(service: Description, host: Host) -> list[Step]:
    layout, job = launchd.Layout(service.home), job_of(service)
    return [
        Write(layout.launcher, launchd.launcher().encode(), 0o755),
        Folder(job.log.parent, 0o755 if service.is_system else 0o700, service.user),
        run(launchd.unload_command(job, layout, host.uid), may_fail=True),
        Write(layout.plist(job), launchd.render(job)),
        *(run(argv) for argv in launchd.load_commands(job, layout, host.uid)),
    ]


def _account(service: Description, host: Host) -> list[Step]:
    if host.has_account:
        return []
    if host.is_mac:
        number = launchd.free_id(host.taken_ids)
        return [run(argv) for argv in launchd.account_commands(service.user, number, SYSTEM_STATE)]
    words = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_STATE)]
    return [run([*words, "--shell", host.nologin, "--comment", "Linux builders for Nix", service.user])]


def stop(builder: str, host: Host, *, home: Path | None, user: str = "") -> list[Step]:
    """The steps that end the service and take it from the init system."""
    if host.is_mac:
        layout = launchd.Layout(home)
        job = launchd.Job(builder, (), layout.launcher, 0, Path("/"), layout.log(builder), user=user or None)
        return [
            run(launchd.unload_command(job, layout, host.uid), may_fail=True),
            Remove(layout.plist(job)),
            Remove(layout.log(builder)),
            Remove(layout.log(builder).parent, if_empty=True),
        ]
    units = systemd.Layout(home)
    return [
        *(run(argv, may_fail=True) for argv in systemd.unload_commands(builder, is_system=home is None)),
        Remove(units.socket(builder)),
        Remove(units.service(builder)),
        run([*systemd.systemctl(home is None), "daemon-reload"], may_fail=True),
    ]


def remains(found: Sequence[Path], *, purge: bool) -> list[Step]:
    """What is done with the files `found` in a system builder's state directory: all go, but for its disk."""
    return [Remove(path) for path in found if purge or path.name != "disk.img"]


def clear(
    builder: str, host: Host, *, state: Path, config: Path | None, others: Sequence[str], purge: bool, user: str
) -> list[Step]:
    """The last steps for a system builder: its state, its configuration if it is as we wrote it, and, with the last
    builder of the system, the account and whatever all had in common."""
    steps: list[Step] = []
    if config is not None:
        steps.append(Remove(config))
    if purge:
        steps.append(Remove(state))
    else:
        steps += [run(["chown", "-R", "0:0", str(state)]), Folder(state, 0o700)]
    if others:
        return steps
    steps += [
        Remove(SYSTEM_STATE / ".cache"),
        Remove(SYSTEM_STATE, if_empty=True),
        Remove(SYSTEM_CONFIG, if_empty=True),
    ]
    if host.is_mac:
        steps.append(Remove(launchd.Layout().launcher))
        steps.append(Remove(launchd.Layout().launcher.parent, if_empty=True))
    if host.has_account:
        steps += _no_account(user, host)
    return steps


def _no_account(user: str, host: Host) -> list[Run]:
    if host.is_mac:
        return [run(argv, may_fail=True) for argv in launchd.remove_account_commands(user)]
    return [run(["userdel", user])]
