"""Which builders there are."""

from __future__ import annotations

from ..paths import config_root, state_root, system_builders
from ..state import builders


def known_builders() -> list[str]:
    """The names of the builders that have state or a configuration, this user's and the system's, sorted."""
    described: list[str] = []
    if any(config_root().glob("*.toml")):
        from ..config_file import builders_in  # here: completion asks at every press of a key

        described = builders_in(config_root())
    return sorted({*described, *builders(state_root()), *system_builders()})
