"""What the guest is told at this start, from the files of its builder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from .. import given
from ..config import BuilderConfig, IdleConfig, WatchdogConfig
from ..drivers.base import GuestNetwork
from ..errors import UserError
from ..guest.seed import SeedContents
from ..paths import BuilderPaths
from ..ssh.keys import public_key


def seed_for(config: BuilderConfig, paths: BuilderPaths, network: GuestNetwork, *, now: float) -> bytes:
    """The bytes of the seed disk; `now` is seconds since the epoch. The builder's keys must be there.

    Raises `UserError` for a file that the configuration names and that cannot be read.
    """
    contents = SeedContents.of(
        paths.name,
        config,
        network,
        host_key=paths.host_key.read_text(),
        user_key=public_key(paths.user_key),
        now=now,
        ca_bundle=_file("nix.ca_bundle", config.nix.ca_bundle),
        netrc=_file("nix.netrc", config.nix.netrc),
    )
    return contents.archive()


def _file(option: str, path: str) -> bytes:
    """The content of the file that `option` names, if it names one."""
    if not path:
        return b""
    try:
        return given.read(Path(path))
    except OSError as error:
        raise UserError(
            f"{option} = {path!r} cannot be read: {error.strerror}.",
            "Check the path, and that the builder may read it.",
        ) from error


def settings_digest(config: BuilderConfig) -> str:
    """A text that changes with every option that a guest would only learn of at its next boot."""
    ours = msgspec.structs.replace(
        config, idle=IdleConfig(), watchdog=WatchdogConfig(), port=0, on_demand=False, verbose=False, stop_grace=0.0
    )
    return hashlib.sha256(msgspec.json.encode(ours, order="deterministic")).hexdigest()[:16]
