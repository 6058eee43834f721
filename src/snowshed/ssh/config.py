"""The part of an ssh configuration by which OpenSSH, and Nix through it, reach a builder. Pure.

Where the options come from: ssh counts a connection that is held before the banner against ``ConnectTimeout``, and a
builder may have to boot first; ``ControlMaster`` breaks ``ssh-ng`` (NixOS/nix issues 8329 and 14132); agents offer
keys until the server has had enough of them, hence ``IdentitiesOnly`` and no agent. Quoting: ssh_config(5).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError

CONNECT_TIMEOUT = 600
"""Seconds; longer than any wake."""

USER = "builder"
HOST = "127.0.0.1"


def alias(builder: str) -> str:
    """The name by which ssh knows a builder, and under which its host key is pinned."""
    return f"snowshed-{builder}"


def ssh_config(builder: str, port: int, user_key: Path, known_hosts: Path, *, jump: str = "") -> str:
    """A ``Host`` block for `builder`; `jump` is the host on whose loopback its port is, empty for this one.

    Raises `UserError` for paths that ssh_config(5) cannot hold.
    """
    options = {
        "HostName": HOST,
        "Port": str(port),
        "User": USER,
        "IdentityFile": _quoted(user_key),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        "HostKeyAlias": alias(builder),
        "UserKnownHostsFile": _quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ControlMaster": "no",
        "ControlPath": "none",
        "ServerAliveInterval": "60",
        "ServerAliveCountMax": "5",
        "ForwardAgent": "no",
        "ForwardX11": "no",
    }
    if jump:
        options["ProxyJump"] = jump
    return f"Host {alias(builder)}\n" + "".join(f"  {name} {value}\n" for name, value in options.items())


def _quoted(path: Path) -> str:
    text = str(path)
    if any(part in text for part in ('"', "\n", "${")):
        raise UserError(
            f"ssh cannot use files under {text!r}: its configuration has no way to write that path.",
            "Choose a --state-dir without quotes, line breaks and `${`.",
        )
    return '"' + text.replace("%", "%%") + '"'
