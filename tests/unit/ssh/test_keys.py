"""A builder's keys: made once, private, complete or absent, and pinned before anybody connects."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from snowshed.errors import UserError
from snowshed.paths import BuilderPaths
from snowshed.ssh import keys


@pytest.fixture
def paths(tmp_path: Path) -> BuilderPaths:
    return BuilderPaths("one", tmp_path / "one", tmp_path / "one.toml")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_both_pairs_are_made_private_and_the_host_key_is_pinned(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    assert mode(paths.state) == mode(paths.ssh) == 0o700
    assert mode(paths.user_key) == mode(paths.host_key) == 0o600
    kind, key = keys.public_key(paths.host_key).split()
    assert kind == "ssh-ed25519"
    assert base64.b64decode(key)[:15] == b"\x00\x00\x00\x0bssh-ed25519"
    assert paths.known_hosts.read_text() == f"snowshed-one {kind} {key}\n"
    assert keys.public_key(paths.user_key) != keys.public_key(paths.host_key)


def test_a_second_call_changes_nothing(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in paths.ssh.iterdir()}
    keys.ensure_keys(paths)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in paths.ssh.iterdir()} == before


def test_a_lost_public_half_comes_back_from_the_private_one(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    public = keys.public_key(paths.user_key)
    paths.user_key.with_suffix(".pub").unlink()
    keys.ensure_keys(paths)
    assert keys.public_key(paths.user_key) == public


def test_a_public_half_without_its_private_one_is_not_taken_for_a_pair(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    orphan = keys.public_key(paths.host_key)
    paths.host_key.unlink()
    keys.ensure_keys(paths)
    assert keys.public_key(paths.host_key) != orphan
    assert keys.public_key(paths.host_key) in paths.known_hosts.read_text()


def test_a_key_that_others_can_read_is_closed_to_them(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    paths.user_key.chmod(0o644)
    keys.ensure_keys(paths)
    assert mode(paths.user_key) == 0o600


def test_an_emptied_key_is_reported_and_not_replaced(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    os.truncate(paths.user_key, 0)
    with pytest.raises(UserError, match="empty or damaged"):
        keys.ensure_keys(paths)
    assert paths.user_key.stat().st_size == 0


def test_whoever_comes_second_takes_the_key_of_the_first(paths: BuilderPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes make keys at once: the one that links its key into place last finds the other's there."""
    keys.ensure_keys(paths)
    first = paths.user_key.read_bytes()
    keys._make_pair(paths.user_key, "second")
    keys.ensure_keys(paths)
    assert paths.user_key.read_bytes() == first
    assert keys.public_key(paths.user_key) != ""
    assert not list(paths.ssh.glob(".new-*"))


def test_the_ssh_config_follows_the_port(paths: BuilderPaths) -> None:
    keys.ensure_keys(paths)
    keys.write_ssh_config(paths, 31222)
    keys.write_ssh_config(paths, 31223)
    assert "  Port 31223\n" in paths.ssh_config.read_text()
    assert "31222" not in paths.ssh_config.read_text()
