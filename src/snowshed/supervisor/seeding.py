"""What the guest is told at this start, from the files of its builder."""

from __future__ import annotations

import hashlib

import msgspec

from ..config import BuilderConfig, IdleConfig, WatchdogConfig
from ..drivers.base import GuestNetwork
from ..guest.seed import SeedContents
from ..paths import BuilderPaths
from ..ssh.keys import public_key


def seed_for(config: BuilderConfig, paths: BuilderPaths, network: GuestNetwork, *, now: float) -> bytes:
    """The bytes of the seed disk; `now` is seconds since the epoch. The builder's keys must be there."""
    contents = SeedContents.of(
        paths.name,
        config,
        network,
        host_key=paths.host_key.read_text(),
        user_key=public_key(paths.user_key),
        now=now,
    )
    return contents.archive()


def settings_digest(config: BuilderConfig) -> str:
    """A text that changes with every option that a guest would only learn of at its next boot."""
    ours = msgspec.structs.replace(
        config, idle=IdleConfig(), watchdog=WatchdogConfig(), port=0, on_demand=False, verbose=False, stop_grace=0.0
    )
    return hashlib.sha256(msgspec.json.encode(ours, order="deterministic")).hexdigest()[:16]
