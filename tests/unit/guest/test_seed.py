from __future__ import annotations

import io
import json
import subprocess
import tarfile

import msgspec
import pytest

from snowshed.config import BuilderConfig, NixConfig, ShareConfig
from snowshed.drivers.base import GuestNetwork
from snowshed.guest import seed
from snowshed.guest.contract import contract
from snowshed.guest.seed import SeedContents
from snowshed.model.machine import Network
from snowshed.units import GIB

NAT = GuestNetwork("static", "10.0.2.15/24", "10.0.2.2", "10.0.2.3")
CONFIG = BuilderConfig(system="x86_64-linux", cores=3)


def contents(config: BuilderConfig = CONFIG, network: GuestNetwork = NAT) -> SeedContents:
    return SeedContents.of("one", config, network, host_key="HOST KEY", user_key="ssh-ed25519 USER\n", now=1700000000.9)


def test_the_disk_is_a_plain_tar_with_the_settings_first() -> None:
    names = contract().seed
    data = contents().archive()
    assert data.startswith(names.settings.encode() + b"\0")
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        host_key = tar.extractfile(names.host_key)
        assert host_key is not None
        assert host_key.read() == b"HOST KEY\n"
    assert [m.name for m in members] == [
        names.settings, names.environment, names.nix_conf, names.host_key, names.authorized_keys
    ]  # fmt: skip
    assert {(m.uid, m.mtime) for m in members} == {(0, 0)}


def test_what_is_secret_is_for_root_alone() -> None:
    names = contract().seed
    made = SeedContents.of(
        "one", CONFIG, NAT, host_key="H", user_key="U", now=0, ca_bundle=b"CERTIFICATES", netrc=b"PASSWORDS"
    )
    with tarfile.open(fileobj=io.BytesIO(made.archive())) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {names.host_key, names.netrc}
    assert {mode for name, mode in modes.items() if name not in (names.host_key, names.netrc)} == {0o644}


def test_equal_settings_give_equal_bytes() -> None:
    assert contents().archive() == contents().archive()


def test_settings_are_there_for_programs() -> None:
    settings = json.loads(contents().members()["settings.json"])
    assert settings["contract"] == contract().version
    assert settings["hostname"] == "snowshed-one"
    assert (settings["time"], settings["network"], settings["address"]) == (1700000000, "static", "10.0.2.15/24")


@pytest.mark.parametrize("nasty", ["plain", "two words", "a'b", '"; rm -rf /; "', "$(reboot)", "`x`", "line\nbreak"])
def test_the_shell_reads_settings_as_they_are(nasty: str) -> None:
    settings = msgspec.structs.replace(contents().settings, nameserver=nasty)
    script = seed.environment(settings) + 'printf %s "$SNOWSHED_NAMESERVER"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == nasty


def test_shares_are_mounted_under_their_names() -> None:
    config = msgspec.structs.replace(
        CONFIG, shares={"src": ShareConfig("/home/me/src", read_only=False), "data": ShareConfig("/srv")}
    )
    assert "SNOWSHED_SHARES='data:ro:/mnt/data src:rw:/mnt/src'\n" in seed.environment(contents(config).settings)


def test_the_hosts_store_is_one_of_them_unless_the_guest_boots_from_it() -> None:
    asked = msgspec.structs.replace(CONFIG, share_nix_store=True)
    assert "SNOWSHED_SHARES=nix-store:ro:/mnt/nix-store\n" in seed.environment(contents(asked).settings)
    booted = msgspec.structs.replace(asked, system_path="/nix/store/x-system")
    assert "SNOWSHED_SHARES=''\n" in seed.environment(contents(booted).settings)


def test_a_guest_with_the_world_asks_the_substituters_of_its_nix() -> None:
    assert seed.nix_conf(CONFIG) == "cores = 3\nmax-jobs = 3\n"


def test_a_small_disk_is_not_always_in_need_of_collection() -> None:
    """With the default of 5 GiB a disk of 4 GiB would collect garbage at every build."""
    small = msgspec.structs.replace(CONFIG, disk_size=4 * GIB)
    assert seed.collection_limits(small) == (4 * GIB // 10, 4 * GIB // 7)
    assert seed.collection_limits(CONFIG) == (5 * GIB, 7 * GIB)


@pytest.mark.parametrize("network", [Network.RESTRICTED, Network.NONE])
def test_a_guest_without_the_world_asks_no_substituter(network: Network) -> None:
    config = msgspec.structs.replace(CONFIG, network=network, nix=NixConfig(substituters=("https://cache.example",)))
    assert "\nsubstituters =\n" in seed.nix_conf(config)
    settings = contents(config).settings
    assert (settings.gateway, settings.nameserver) == ("", "")


def test_nix_is_told_what_was_configured() -> None:
    nix = NixConfig(
        max_jobs=7,
        emulate=("aarch64-linux",),
        features=("kvm", "big-parallel"),
        substituters=("https://a.example", "https://b.example"),
        trusted_public_keys=("a:KEY=",),
    )
    text = seed.nix_conf(msgspec.structs.replace(CONFIG, nix=nix))
    assert "max-jobs = 7\n" in text
    assert "extra-platforms" not in text, "the guest finds out itself whether it can"
    assert "system-features = kvm big-parallel\n" in text
    assert "substituters = https://a.example https://b.example\n" in text
    assert "trusted-public-keys = a:KEY=\n" in text
    assert contents(msgspec.structs.replace(CONFIG, nix=nix)).settings.kvm


def test_certificates_passwords_and_proxies_go_where_nix_looks() -> None:
    nix = NixConfig(ca_bundle="/host/ca.crt", netrc="/host/netrc", proxy="http://10.0.2.2:3128", no_proxy="localhost")
    config = msgspec.structs.replace(CONFIG, nix=nix)
    given = SeedContents.of(
        "one", config, NAT, host_key="H", user_key="U", now=0, ca_bundle=b"CERTIFICATES", netrc=b"PASSWORDS"
    )
    members = given.members()
    assert list(members)[-2:] == [contract().seed.ca_bundle, contract().seed.netrc]
    assert members["netrc"] == b"PASSWORDS"
    conf = members["nix.conf"].decode()
    assert "ssl-cert-file = /run/snowshed/ca-bundle.crt\n" in conf
    assert "netrc-file = /run/snowshed/netrc\n" in conf
    assert b"https_proxy=http://10.0.2.2:3128\nno_proxy=localhost\n" in members["settings.env"]


def test_without_them_nothing_is_said_of_them() -> None:
    members = contents().members()
    assert {"ca-bundle.crt", "netrc"} & set(members) == set()
    assert b"proxy" not in members["settings.env"]
