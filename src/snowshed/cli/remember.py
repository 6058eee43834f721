"""What a builder keeps from one start to the next unless somebody says otherwise.

Its disk was made with a size or is a copy of an image, its store is for a system, and Nix was told a port: a start that
says nothing of them means the same ones. The rest of a command line counts for one start, and for its `restart`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..config import DEFAULT_PORT, Layer, Value
from ..guest.bootfiles import arch_of_kernel
from ..images.own_disk import origin_of
from ..network.ports import is_free
from ..paths import BuilderPaths, state_root
from ..state import builders
from .render import note


def implied(paths: BuilderPaths, options: Layer) -> dict[str, Value]:
    """The lowest layer of a builder's configuration, in place of defaults."""
    config = last_config(paths)
    kept: dict[str, Value] = {name: config[name] for name in ("system", "port") if name in config}
    if not config:
        kept["port"] = free_port(paths.name)
    with suppress(OSError):
        kept["disk_size"] = paths.disk.stat().st_size or None
    if not options.get("kernel"):
        kept["image"] = origin_of(paths) or None
    if arch := arch_of_kernel(Path(str(options.get("kernel") or ""))):
        kept["system"] = arch.nix_system
    return {name: value for name, value in kept.items() if value is not None}


def free_port(name: str) -> int:
    """The first port from the default one on that no other builder of this user was last started with, and that
    nobody listens on: builders of other users and of the system have ports too."""
    others = [BuilderPaths(other) for other in builders(state_root()) if other != name]
    taken = {last_config(other).get("port") for other in others}
    return next(port for port in range(DEFAULT_PORT, 65536) if port not in taken and is_free(port))


def last_config(paths: BuilderPaths) -> dict[str, Any]:
    """The effective configuration of the last start; empty where there was none or it is damaged."""
    config = _object(paths.last_config).get("config")
    return config if isinstance(config, dict) else {}


def last_options(paths: BuilderPaths) -> dict[str, Value]:
    """What the last start was given on its command line."""
    return _object(paths.last_options)


def remember_options(paths: BuilderPaths, options: Layer) -> None:
    """Keep what a start was given on its command line, for `restart`. The builder is up: a full disk ends nothing."""
    new = paths.last_options.with_suffix(".new")
    try:
        new.write_text(json.dumps(dict(options)))
        new.replace(paths.last_options)
    except OSError as error:
        note(f"`snowshed restart` will not know these options: {error.strerror} ({paths.last_options}).")
        with suppress(OSError):
            new.unlink()


def _object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
