"""The host's own Nix: which one it is, what it is told, and which machines it knows. Pure.

Forms of ``nix --version``: ``nix (Nix) 2.28.3``, ``nix (Lix, like Nix) 2.91.1``,
``nix (Determinate Nix 3.8.3) 2.30.2``.
The machines file: nix.conf(5), `builders`; ``;`` separates machines as a line break does, ``#`` begins a comment.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

MACHINES = "/etc/nix/machines"
PROGRAMS = ("/nix/var/nix/profiles/default/bin/nix", "/run/current-system/sw/bin/nix", "/usr/local/bin/nix")
"""Where Nix is when it is not on the ``PATH``, as under sudo or launchd."""

SETTINGS = ("builders", "max-jobs", "build-poll-interval", "builders-use-substitutes", "extra-platforms", "system",
            "trusted-users", "external-builders")  # fmt: skip


class Flavour(StrEnum):
    """Which of the programs called Nix this is."""

    NIX = "Nix"
    LIX = "Lix"
    DETERMINATE = "Determinate Nix"


class Nix(msgspec.Struct, frozen=True):
    """A Nix by its own word: `version` in the common ancestor's numbering, `text` for people."""

    flavour: Flavour
    version: tuple[int, ...]
    text: str

    @property
    def has_external_builders(self) -> bool:
        """Whether `external-builders` exists: from Nix 2.32 and Determinate Nix 3.8.3 on, never in Lix."""
        if self.flavour is Flavour.DETERMINATE:
            own = re.search(r"Determinate Nix (\d+)\.(\d+)\.(\d+)", self.text)
            return own is not None and tuple(map(int, own.groups())) >= (3, 8, 3)
        return self.flavour is Flavour.NIX and self.version >= (2, 32)


def parse_version(text: str) -> Nix | None:
    """The Nix that says `text`; None for something else."""
    match = re.search(r"^nix \((.*?)\) (\d+(?:\.\d+)*)", text, re.MULTILINE)
    if match is None:
        return None
    who = match[1]
    flavour = Flavour.LIX if who.startswith("Lix") else Flavour.DETERMINATE if "Determinate" in who else Flavour.NIX
    own = f"{who} ({match[2]})" if flavour is Flavour.DETERMINATE else f"{flavour} {match[2]}"
    return Nix(flavour, tuple(map(int, match[2].split("."))), own)


def parse_settings(text: str) -> dict[str, Any]:
    """The settings in force, by name, from what ``nix config show --json`` prints; empty for anything else."""
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: about.get("value") for name, about in data.items() if isinstance(about, dict)}


class MachineLine(msgspec.Struct, frozen=True):
    """A machine as Nix knows it."""

    uri: str
    systems: tuple[str, ...]
    key: str = ""
    max_jobs: int = 1
    speed_factor: float = 1.0
    features: tuple[str, ...] = ()
    mandatory: tuple[str, ...] = ()
    host_key: str = ""

    @property
    def host(self) -> str:
        """The host name, without protocol, user and options: what ssh is given."""
        return self.uri.split("://", 1)[-1].split("@")[-1].split("?")[0].split("/")[0]

    @property
    def protocol(self) -> str:
        return self.uri.split("://", 1)[0] if "://" in self.uri else "ssh"


def parse_machines(builders: str, read: Callable[[str], str | None]) -> list[MachineLine]:
    """The machines in the setting `builders`; `read` gives the text of a file that it names with ``@``."""
    return [machine for line in _lines(builders, read, set()) if (machine := _machine(line)) is not None]


def _lines(text: str, read: Callable[[str], str | None], seen: set[str]) -> Iterator[str]:
    """Files that include each other are read once; Nix itself never comes back from them."""
    for raw in re.split(r"[\n;]", text):
        line = raw.split("#")[0].strip()
        if line.startswith("@"):
            name = line[1:].strip()
            if name not in seen:
                seen.add(name)
                yield from _lines(read(name) or "", read, seen)
        elif line:
            yield line


def _machine(line: str) -> MachineLine | None:
    words = [word if word != "-" else "" for word in line.split()]
    uri, systems, key, jobs, speed, features, mandatory, host_key = (words + [""] * 8)[:8]
    try:
        return MachineLine(
            uri,
            _list(systems),
            key,
            int(jobs or 1),
            float(speed or 1),
            _list(features),
            _list(mandatory),
            base64.b64decode(host_key, validate=True).decode(errors="replace").strip(),
        )
    except (ValueError, binascii.Error):
        return None


def _list(word: str) -> tuple[str, ...]:
    return tuple(part for part in word.split(",") if part)
