"""What a shared directory may be called, and which directories may be shared: before anything is started.

A name is a virtiofs tag, of which the guest's driver takes at most 36 bytes with the zero at its end (virtio
specification 1.2, 5.11.4), and the name of a folder in the guest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import UserError
from .guest.contract import contract
from .settings import ShareConfig

LONGEST_NAME = 35
NIX_STORE = Path("/nix/store")
"""The host's, which a guest may see and never write."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)


def check_names(names: Iterable[str]) -> None:
    """Raise `UserError` for a name that no share of a user can have."""
    agreed = contract().shares
    for name in names:
        if name in (agreed.nix_store, agreed.rosetta):
            raise UserError(f"A shared directory cannot be called {name}: that share is snowshed's.", "Rename it.")
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            raise UserError(
                f"A shared directory cannot be called {name!r}.",
                f"Use at most {LONGEST_NAME} letters, digits, dots, dashes and underscores; it is /mnt/<name> there.",
            )


def check_places(shares: Mapping[str, ShareConfig], state: Path) -> None:
    """Raise `UserError` for a directory that is not there, or in which the builder's `state` is, and so its keys."""
    ours = state.resolve()
    for name, share in shares.items():
        path = Path(share.path)
        if not path.is_absolute():
            raise UserError(f"The shared directory {name} is {share.path!r}: no absolute path.", "Begin it with a /.")
        if not path.is_dir():
            what = "is not a directory" if path.exists() else "does not exist"
            raise UserError(f"The shared directory {name}, {path}, {what}.", "Make it, or remove the share.")
        there = path.resolve()
        if there == Path("/"):
            raise UserError(f"The shared directory {name} is /: all of this host.", "Share the part that is needed.")
        if ours.is_relative_to(there) or there.is_relative_to(ours):
            raise UserError(
                f"The shared directory {name}, {path}, would show the guest the builder's own files in {state}: "
                "its keys and its disk.",
                "Share another directory, or choose a --state-dir outside of it.",
            )


def check_store(store: Path) -> None:
    """Raise `UserError` where this host has no Nix store that could be shared."""
    if not store.is_dir():
        raise UserError(
            f"This host has no Nix store in {store} that could be shared.",
            "Install Nix, or leave share_nix_store and --system PATH out.",
        )
