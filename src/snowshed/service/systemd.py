"""systemd: a socket that it holds for a builder, the service behind it, and the commands that load both. Pure.

The socket is there from boot on and outlives the service, so that no connection is ever refused; the service starts
with the first one. What a unit of the system may do is written down as narrowly as a hypervisor allows: open are
memory that is written and executed (QEMU without KVM translates code), and, with shared directories, the namespaces
in which virtiofsd locks itself up. What the options mean is in systemd.exec(5), systemd.socket(5) and systemd.kill(5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .description import Description

SOCKET_NAME = "ssh"
STOP_MARGIN = 20
"""Seconds that systemd waits longer than the guest may take to shut down."""
OPEN_FILES = 16384

Options = dict[str, str | tuple[str, ...]]
"""A section's options; several values are an option given several times."""

_DEVICES = ("/dev/kvm rw", "/dev/vhost-net rw", "/dev/vhost-vsock rw", "/dev/net/tun rw")

_LOCKED = {
    "NoNewPrivileges": "yes",
    "LockPersonality": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
"""What a user's own manager can enforce as well."""


@dataclass(frozen=True)
class Layout:
    """Where units lie: the system's, or those of the user with the home directory `home`."""

    home: Path | None = None
    root: Path = Path("/")

    @property
    def folder(self) -> Path:
        return self.root / "etc/systemd/system" if self.home is None else self.home / ".config/systemd/user"

    def socket(self, builder: str) -> Path:
        return self.folder / f"snowshed-{builder}.socket"

    def service(self, builder: str) -> Path:
        return self.folder / f"snowshed-{builder}.service"


def socket_unit(service: Description) -> str:
    """The text of the socket unit."""
    return _unit(
        ("Unit", {"Description": f"SSH to the Linux builder {service.builder}"}),
        (
            "Socket",
            {
                "ListenStream": f"127.0.0.1:{service.port}",
                "FileDescriptorName": SOCKET_NAME,
                "Backlog": "1024",
                "TriggerLimitIntervalSec": "0",
            },
        ),
        ("Install", {"WantedBy": "sockets.target"}),
    )


def service_unit(service: Description) -> str:
    """The text of the service unit."""
    name = f"snowshed-{service.builder}.socket"
    unit: Options = {
        "Description": f"Linux builder {service.builder} for Nix",
        "Requires": name,
        "After": f"network.target {name}",
    }
    options: Options = {
        "Type": "exec",
        "ExecStart": " ".join(_quoted(word) for word in service.program),
        "WorkingDirectory": _path(service.state),
        "Restart": "on-failure",
        "RestartSec": "5",
        # the supervisor alone is told to end; it ends the rest in order
        "KillMode": "mixed",
        "TimeoutStopSec": str(math.ceil(service.stop_grace) + STOP_MARGIN),
        "LimitNOFILE": str(OPEN_FILES),
        # a guest that takes too much is ended alone, and the supervisor says so
        "MemoryMax": str(service.most_memory),
        "OOMPolicy": "continue",
        **_LOCKED,
        **(
            _system_options(service)
            if service.is_system
            else {"Environment": _environment("PATH", service.search_path)}
        ),
    }
    target = "multi-user.target" if service.is_system else "default.target"
    install: Options = {} if service.on_demand else {"WantedBy": target}
    return _unit(("Unit", unit), ("Service", options), ("Install", install))


def _system_options(service: Description) -> Options:
    """Who runs it, and what it may see and do. What is not named here it may not."""
    shared = bool(service.shares)
    writable = (service.state, service.state.parent / ".cache", *(p for p, w in service.shares.items() if w))
    return {
        "User": service.user,
        "Group": service.user,
        "SupplementaryGroups": " ".join(service.groups),
        "Environment": (
            _environment("HOME", str(service.state.parent)),
            _environment("PATH", service.search_path),
        ),
        "CapabilityBoundingSet": "",
        "AmbientCapabilities": "",
        "DevicePolicy": "closed",
        "DeviceAllow": _DEVICES,
        "PrivateMounts": "yes",
        "PrivateTmp": "yes",
        "ProtectClock": "yes",
        "ProtectControlGroups": "yes",
        "ProtectHome": "read-only" if shared else "yes",
        "ProtectHostname": "yes",
        "ProtectKernelLogs": "yes",
        "ProtectKernelModules": "yes",
        "ProtectKernelTunables": "yes",
        "ProtectProc": "invisible",
        "ProtectSystem": "strict",
        "ReadWritePaths": tuple(_path(f"-{path}") for path in writable),
        "RemoveIPC": "yes",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_UNIX AF_VSOCK",
        "RestrictNamespaces": "user mnt pid net" if shared else "yes",
        "SystemCallErrorNumber": "EPERM",
        "SystemCallFilter": (
            "@system-service",
            "~@privileged",
            # setpriv(1), by which the hypervisor dies with us, sets what capabilities it has: none. QEMU and virtiofsd
            # lock themselves up further.
            "capset seccomp",
            *(("@mount setgroups setresgid setresuid",) if shared else ()),
        ),
    }


def load_commands(service: Description) -> list[list[str]]:
    """What makes systemd know the units, after they are written."""
    names = [f"snowshed-{service.builder}.socket"] + (
        [] if service.on_demand else [f"snowshed-{service.builder}.service"]
    )
    return [
        [*systemctl(service.is_system), "daemon-reload"],
        [*systemctl(service.is_system), "enable", "--now", *names],
    ]


def unload_commands(builder: str, *, is_system: bool) -> list[list[str]]:
    """What ends both units and makes systemd forget that they start; before their files are removed."""
    units = [f"snowshed-{builder}.socket", f"snowshed-{builder}.service"]
    return [[*systemctl(is_system), "disable", "--now", *units]]


def systemctl(is_system: bool) -> list[str]:
    return ["systemctl", "--system" if is_system else "--user"]


def _unit(*sections: tuple[str, Options]) -> str:
    """Sections as a unit file; an empty section is left out."""
    parts = []
    for name, options in sections:
        lines = [f"[{name}]"]
        for option, value in options.items():
            lines += [f"{option}={one}" for one in (value if isinstance(value, tuple) else (value,))]
        if options:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _quoted(word: str) -> str:
    """A word of ExecStart=: `$` and `%` mean something there unless doubled (systemd.service(5))."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if not text or set(text) - _PLAIN else text


def _environment(name: str, value: str) -> str:
    text = f"{name}={value}".replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if set(text) - _PLAIN else text


def _path(path: Path | str) -> str:
    """A path as the value of an option: a blank in it is no separator there, but in a list it is."""
    text = str(path).replace("%", "%%")
    return '"' + text.replace('"', '\\"') + '"' if " " in text else text


_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%$")
