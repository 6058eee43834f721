"""The keys of a builder, made on the host before its guest first boots.

Two ED25519 pairs: the user's, whose private half never leaves the host, and the guest's host key, which the seed disk
carries into the guest. Because the host makes both, the host key is pinned before anybody can connect.

A key appears under its name complete or not at all, and none that exists is ever replaced: half of it may be known to
a guest, to Nix, or to another machine.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .. import durable, process
from ..errors import UserError
from ..paths import BuilderPaths
from ..state import prepare
from .config import alias, ssh_config

_SSH_KEYGEN_HINT = "Install OpenSSH's client programs (Debian: openssh-client)."


def ensure_keys(paths: BuilderPaths) -> None:
    """Make what is missing of both key pairs and pin the host key. May be called at any time, by anybody.

    Raises `UserError` where ssh-keygen is missing or the directory cannot be written.
    """
    prepare(paths)
    for key in (paths.user_key, paths.host_key):
        _ensure_pair(key, alias(paths.name))
    pinned = f"{alias(paths.name)} {public_key(paths.host_key)}\n"
    _write_if_different(paths.known_hosts, pinned)


def write_ssh_config(paths: BuilderPaths, port: int) -> None:
    """Write ``ssh/config`` for a builder whose forwarder listens on `port`, unless it says so already."""
    _write_if_different(paths.ssh_config, ssh_config(paths.name, port, paths.user_key, paths.known_hosts))


def public_key(key: Path) -> str:
    """Type and base64 of the public half of `key`, without its comment: ``ssh-ed25519 AAAA…``."""
    words = _public(key).read_text().split()
    if len(words) < 2:
        raise _damaged(_public(key))
    return " ".join(words[:2])


def _public(key: Path) -> Path:
    return key.with_name(key.name + ".pub")


def _ensure_pair(key: Path, comment: str) -> None:
    if not key.exists():
        _make_pair(key, comment)
    if key.stat().st_size == 0:
        raise _damaged(key)
    if key.stat().st_mode & 0o077:
        key.chmod(0o600)
    if not _public(key).exists():
        text = process.run([_keygen(), "-y", "-f", key])
        _write_if_different(_public(key), text)


def _make_pair(key: Path, comment: str) -> None:
    """Make a pair aside and link the private half into place; the public half can be had from it at any time."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=key.parent) as scratch:
        new = Path(scratch) / key.name
        process.run([_keygen(), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", new])
        durable.sync(new)
        _public(key).unlink(missing_ok=True)  # of a private half that is gone
        try:
            os.link(new, key)
        except FileExistsError:  # somebody else was first, and theirs is the one
            return
        _public(new).replace(_public(key))
    durable.sync(key.parent)


def _keygen() -> str:
    return process.find("ssh-keygen", _SSH_KEYGEN_HINT)


def _write_if_different(file: Path, text: str) -> None:
    try:
        if file.read_text() == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w") as new:
            new.write(text)
            new.flush()
            durable.sync_descriptor(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _damaged(key: Path) -> UserError:
    return UserError(
        f"The key {key} is empty or damaged.",
        "Remove it to have a new one made at the next start; then add the builder to Nix again (`snowshed machines`).",
    )
