"""The builders of the system have images of their own: those of the account that runs them, not of whoever asks."""

from __future__ import annotations

import sys
from contextlib import suppress

from .. import paths
from ..config_file import options_of
from ..errors import UserError
from .render import note


def note_others(verb: str) -> None:
    """Say which builders `snowshed image VERB` does not reach, if there are any, and what does."""
    names = [] if paths.serves_the_system() else [name for name in paths.system_builders() if _takes_the_newest(name)]
    if not names:
        return
    from ..service.installation import as_account  # here: hardly anybody has such builders

    command = as_account(f"image {verb}", sys.platform)
    note(f"The builders of the system ({', '.join(names)}) have images of their own: `{command}`.")


def _takes_the_newest(name: str) -> bool:
    """Whether a builder of the system boots the newest image of its account, and none that its configuration names."""
    for ending in ("json", "toml"):
        with suppress(UserError):
            if {"image", "kernel"} & options_of(paths.SYSTEM_CONFIG / f"{name}.{ending}").keys():
                return False
    return True
