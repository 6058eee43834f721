"""Files of the host that go onto the seed disk."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from snowshed.config import BuilderConfig, NixConfig
from snowshed.drivers.base import GuestNetwork
from snowshed.errors import UserError
from snowshed.paths import BuilderPaths
from snowshed.supervisor.seeding import seed_for, settings_digest

NETWORK = GuestNetwork("dhcp", "", "", "")
CONFIG = BuilderConfig(system="x86_64-linux")


def builder(folder: Path) -> BuilderPaths:
    paths = BuilderPaths("one", folder)
    paths.ssh.mkdir()
    paths.host_key.write_text("HOST\n")
    Path(f"{paths.user_key}.pub").write_text("ssh-ed25519 AAAA one\n")
    return paths


def test_the_hosts_certificates_are_read_at_every_start(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    config = msgspec.structs.replace(CONFIG, nix=NixConfig(ca_bundle=str(bundle)))
    paths = builder(tmp_path)
    for content in (b"ONE", b"TWO"):
        bundle.write_bytes(content)
        with tarfile.open(fileobj=io.BytesIO(seed_for(config, paths, NETWORK, now=0))) as tar:
            member = tar.extractfile("ca-bundle.crt")
            assert member is not None
            assert member.read() == content


@pytest.mark.parametrize("option", ["ca_bundle", "netrc"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, option: str) -> None:
    config = msgspec.structs.replace(CONFIG, nix=NixConfig(**{option: str(tmp_path / "gone")}))
    with pytest.raises(UserError, match=rf"nix\.{option} = .*gone' cannot be read"):
        seed_for(config, builder(tmp_path), NETWORK, now=0)


def test_no_pipe_keeps_a_start_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = msgspec.structs.replace(CONFIG, nix=NixConfig(netrc=str(tmp_path / "pipe")))
    with pytest.raises(UserError, match=r"nix\.netrc = .* cannot be read: it is a pipe, not a file"):
        seed_for(config, builder(tmp_path), NETWORK, now=0)


def test_a_guest_has_to_be_told_of_another_proxy() -> None:
    assert settings_digest(CONFIG) != settings_digest(msgspec.structs.replace(CONFIG, nix=NixConfig(proxy="http://p")))
