"""A builder on another host, reached through that host's sshd: its port is on that host's loopback alone.

The other host is asked by ssh for what ``snowshed machines --json`` says there, and for the builder's user key: who
may log in to that host as the builder's owner has it anyway. Nothing is changed over there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .. import process
from ..errors import GuestError, UserError
from ..paths import state_root
from ..ssh.config import alias, ssh_config
from .install import vetted
from .machines import Machine

PATIENCE = 120.0
"""Seconds for a host that may have to wake up."""

_DESTINATION = re.compile(r"(?:ssh://)?((?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9][A-Za-z0-9_.-]*(?::\d{1,5})?)/?", re.ASCII)
_PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


class Said(msgspec.Struct, frozen=True, rename="camel"):
    """What the other host's ``snowshed machines --json`` says; the rest of it is ours to know."""

    uri: str
    ssh_key: str
    systems: tuple[str, ...]
    max_jobs: int
    speed_factor: int
    supported_features: tuple[str, ...]
    mandatory_features: tuple[str, ...]
    public_host_key: str
    port: int


class Remote(msgspec.Struct, frozen=True):
    """A builder over there, as this host sees it. `jump` is the other host as ssh's ``ProxyJump`` wants it."""

    machine: Machine
    port: int
    jump: str
    folder: Path

    @property
    def ssh_config(self) -> Path:
        return self.folder / "config"


def parse(destination: str) -> tuple[str, str]:
    """``ssh://user@host:port`` (or without any of it but the host) as ssh's jump host, and the host's name alone.

    Raises `UserError` for anything else.
    """
    match = _DESTINATION.fullmatch(destination)
    if match is None:
        raise UserError(f"{destination!r} is no host to go through.", "Write ssh://user@host, or ssh://user@host:port.")
    jump = match[1]
    return jump, jump.split("@")[-1].split(":")[0]


def name_of(builder: str, host: str) -> str:
    """How a builder on another host is called here."""
    return f"{builder}.{host.lower()}"


def command(jump: str, words: Sequence[str]) -> list[str]:
    """The command line that runs `words` on the other host."""
    user_and_host, _, port = jump.partition(":")
    option = ["-p", port] if port else []
    return ["ssh", "-o", "BatchMode=yes", *option, user_and_host, process.pasteable(words)]


def fetch(destination: str, builder: str, program: str = "snowshed") -> Remote:
    """Ask the other host about `builder`, and keep what ssh needs in a folder of this user's.

    Raises `UserError` for what is no host, and `GuestError` with what ssh or the other host said.
    """
    jump, host = parse(destination)
    name = name_of(builder, host)
    text = process.run(command(jump, [program, "machines", "--json", "-b", builder]), timeout=PATIENCE)
    try:
        said = msgspec.json.decode(text, type=Said)
    except msgspec.MsgspecError as error:
        raise GuestError(
            f"{host} does not say what a builder's description is: {error}.", "Is its snowshed as new as this one?"
        ) from error
    folder = state_root() / ".via" / name
    machine = _described(name, said, folder)
    key = process.run(command(jump, ["cat", said.ssh_key]), timeout=PATIENCE)
    if not key.startswith(_PRIVATE_KEY):
        raise GuestError(f"{said.ssh_key} on {host} is no private key.", f"Look at the builder {builder} over there.")
    remote = Remote(machine, said.port, jump, folder)
    _keep(remote, key)
    return remote


def _described(name: str, said: Said, folder: Path) -> Machine:
    return vetted(
        Machine(
            builder=name,
            protocol="ssh" if said.uri.startswith("ssh://") else "ssh-ng",
            systems=said.systems,
            key=folder / "id_ed25519",
            max_jobs=said.max_jobs,
            speed_factor=said.speed_factor,
            features=said.supported_features,
            host_key=said.public_host_key,
            mandatory=said.mandatory_features,
        )
    )


def _keep(remote: Remote, key: str) -> None:
    remote.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known_hosts = remote.folder / "known_hosts"
    _write(remote.machine.key, key)
    _write(known_hosts, f"{alias(remote.machine.builder)} {remote.machine.host_key}\n")
    block = ssh_config(remote.machine.builder, remote.port, remote.machine.key, known_hosts, jump=remote.jump)
    _write(remote.ssh_config, block)


def _write(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as out:
        out.write(text)
    new.replace(file)
