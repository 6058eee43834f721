"""The line by which Nix knows a builder, and what a person does with it. Pure.

Format of a line of ``/etc/nix/machines``: store URI, systems, private key, jobs, speed factor, features, mandatory
features, base64 of the public host key; separated by blanks, ``-`` for an empty field (nix.conf(5), `builders`).
Nix hands the host name of the URI to ssh, so that it is the alias of our ssh configuration, and checks the host key
under that name: both pins agree.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ..errors import UserError
from ..ssh.config import USER, alias

ALWAYS = ("benchmark", "big-parallel")
"""Features that every builder of ours has."""

WITH_KVM = ("kvm", "nixos-test")
"""Features that need hardware virtualisation in the guest. A NixOS test without it takes hours."""


def advertised(wanted: Iterable[str] | None, *, kvm: bool) -> tuple[str, ...]:
    """The features that Nix is told: those wanted (None: all that we know of), without what this guest has not."""
    features = (*ALWAYS, *WITH_KVM) if wanted is None else tuple(wanted)
    without = () if kvm else WITH_KVM if wanted is None else ("kvm",)
    return tuple(sorted({feature for feature in features if feature not in without}))


class Machine(msgspec.Struct, frozen=True, rename="camel"):
    """A builder as Nix sees it. `host_key` is ``ssh-ed25519 AAAA…``; `host` its name for ssh, if not our own alias."""

    builder: str
    protocol: str
    systems: tuple[str, ...]
    key: Path
    max_jobs: int
    speed_factor: int
    features: tuple[str, ...]
    host_key: str
    mandatory: tuple[str, ...] = ()
    host: str = ""

    @property
    def uri(self) -> str:
        return f"{self.protocol}://{USER}@{self.host or alias(self.builder)}"

    @property
    def line(self) -> str:
        """The line for ``/etc/nix/machines``. Raises `UserError` for a key whose path has a blank in it."""
        key = str(self.key)
        if len(key.split()) != 1:
            raise UserError(
                f"Nix cannot be told a key under {key!r}: its machines file has no way to write a blank.",
                "Choose a --state-dir without blanks.",
            )
        return " ".join(
            [
                self.uri,
                ",".join(self.systems),
                key,
                str(self.max_jobs),
                str(self.speed_factor),
                ",".join(self.features) or "-",
                ",".join(self.mandatory) or "-",
                base64.b64encode(self.host_key.encode()).decode(),
            ]
        )


def instructions(machine: Machine, ssh_config: Path, install: str = "") -> Sequence[str]:
    """What to do with the line, a sentence or a command each. `install` is the command that does it, if one does."""
    does_it = f" `sudo {install}` does it, or by hand:" if install else ""
    return (
        f"Nix's daemon builds there once root knows the line, and the way.{does_it}",
        "  1. the line above goes into /etc/nix/machines;",
        f"  2. how ssh reaches {alias(machine.builder)}: the line `Include {ssh_config}`",
        "     at the top of root's ~/.ssh/config, or in a file of its own under /etc/ssh/ssh_config.d.",
        "Without a Nix daemon, or to try it first:",
        f"  NIX_SSHOPTS='-F {ssh_config}' nix-build --max-jobs 0 --builders '<the line above>' …",
    )
