"""What the NixOS guest runs at boot, run here: the same scripts, on a seed that the host made, in a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snowshed import config
from snowshed.config import Host
from snowshed.drivers.base import GuestNetwork
from snowshed.guest.contract import contract
from snowshed.guest.seed import SeedContents
from snowshed.model.machine import Arch
from snowshed.units import GIB

GUEST = Path(__file__).parents[2] / "nix" / "guest"
HOST = Host(cores=8, memory=16 * GIB, arch=Arch.AARCH64, platform="darwin")
NAMES = contract().seed
STATIC = GuestNetwork(mode="static", address="10.0.2.15/24", gateway="10.0.2.2", nameserver="10.0.2.3")


def run(script: str, folder: Path, **given: object) -> subprocess.CompletedProcess[str]:
    """Run a guest's script as its unit does: with `set -e`, and with what it is given in the environment."""
    environment = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in given.items()}}
    command = ["bash", "-e", str(GUEST / script)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


def seed(folder: Path, card: GuestNetwork = STATIC, **options: object) -> Path:
    """A seed disk for a builder with these options."""
    settings = config.load(None, options, HOST, {})  # type: ignore[arg-type]
    contents = SeedContents.of("one", settings, card, host_key="PRIVATE", user_key="ssh-ed25519 AAAA", now=1.8e9)
    file = folder / "seed.img"
    file.write_bytes(contents.archive())
    return file


def take(folder: Path, device: Path) -> subprocess.CompletedProcess[str]:
    say = folder / "say"
    say.write_text(f'#!/bin/sh\necho "$@" >> {folder}/console\n')
    say.chmod(0o755)
    return run(
        "seed.sh",
        folder,
        SEED=device,
        RUN_DIR=folder / "run",
        REQUIRED=f"{NAMES.settings} {NAMES.host_key} {NAMES.authorized_keys}",
        OPTIONAL=f"{NAMES.environment} {NAMES.nix_conf} absent",
        PRIVATE=NAMES.host_key,
        SAY=say,
    )


def taken(folder: Path, **options: object) -> Path:
    """The settings of the guest, as the seed's script leaves them."""
    done = take(folder, seed(folder, **options))
    assert done.returncode == 0, done.stderr
    return folder / "run" / NAMES.environment


def test_the_seed_is_taken_and_only_the_host_key_is_private(tmp_path: Path) -> None:
    taken(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert modes == {
        NAMES.settings: 0o644,
        NAMES.environment: 0o644,
        NAMES.nix_conf: 0o644,
        NAMES.authorized_keys: 0o644,
        NAMES.host_key: 0o600,
    }
    assert (tmp_path / "run" / NAMES.host_key).read_text() == "PRIVATE\n"
    assert (tmp_path / "console").read_text() == "boot\n"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "there is no seed disk"), (b"\0" * 4096, "cannot be read"), (b"junk", "cannot be read")]
)
def test_a_seed_that_is_none_is_reported(tmp_path: Path, content: bytes | None, why: str) -> None:
    device = tmp_path / "seed.img"
    if content is not None:
        device.write_bytes(content)
    assert take(tmp_path, device).returncode == 1
    assert (tmp_path / "console").read_text().startswith("failed boot ")
    assert why in (tmp_path / "console").read_text()


def network(folder: Path, settings: Path) -> tuple[str, str]:
    done = run("network.sh", folder, SETTINGS=settings, NETWORKS=folder / "networks", NAME=folder / "name")
    assert done.returncode == 0, done.stderr
    file = folder / "networks/10-snowshed.network"
    return (folder / "name").read_text(), file.read_text() if file.exists() else ""


def test_a_fixed_address_is_written_for_networkd(tmp_path: Path) -> None:
    name, file = network(tmp_path, taken(tmp_path))
    assert name == "snowshed-one"
    assert file.splitlines()[-4:] == ["[Network]", "Address=10.0.2.15/24", "Gateway=10.0.2.2", "DNS=10.0.2.3"]


def test_a_restricted_guest_has_an_address_and_no_way_out(tmp_path: Path) -> None:
    _, file = network(tmp_path, taken(tmp_path, network="restricted"))
    assert file.splitlines()[-1] == "Address=10.0.2.15/24"


def test_with_dhcp_the_client_is_the_card(tmp_path: Path) -> None:
    """macOS writes its leases down by what it is sent here."""
    dhcp = GuestNetwork(mode="dhcp", address="", gateway="", nameserver="")
    assert take(tmp_path, seed(tmp_path, dhcp)).returncode == 0
    _, file = network(tmp_path, tmp_path / "run" / NAMES.environment)
    assert "DHCP=yes\n" in file
    assert file.endswith("[DHCPv4]\nClientIdentifier=mac\n")


def test_without_settings_there_is_a_name_and_no_network(tmp_path: Path) -> None:
    assert network(tmp_path, tmp_path / "absent") == ("snowshed", "")


class Machine:
    """A machine for `foreign.sh`: a table of the kernel's, emulators, and a program that runs or does not."""

    def __init__(self, folder: Path, settings: Path, *, emulator: bool = True, runs: bool = True) -> None:
        self.folder = folder
        self.settings = settings
        (folder / "table").mkdir()
        (folder / "tags").mkdir()
        self.emulator = self._program("qemu", emulator)
        self.probe = self._program("probe", True, status=42 if runs else 1)

    def _program(self, name: str, there: bool, status: int = 0) -> Path:
        file = self.folder / name
        if there:
            file.write_text(f"#!/bin/sh\nexit {status}\n")
            file.chmod(0o755)
        return file

    def said(self) -> list[str]:
        """What the host was told, without the mark's own option."""
        console = self.folder / "console"
        lines = console.read_text().splitlines() if console.exists() else []
        return [line.removeprefix("--fact ") for line in lines if line.startswith("--fact ")]

    def look(self, *, kvm: bool = False) -> tuple[str, str, str]:
        """What is registered, what Nix is told of features, and of systems."""
        if kvm:
            (self.folder / "kvm").touch()
        say = self.folder / "say"
        say.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/console\n')
        say.chmod(0o755)
        done = run(
            "foreign.sh",
            self.folder,
            SETTINGS=self.settings,
            FEATURES=self.folder / "features",
            PLATFORMS=self.folder / "platforms",
            FOREIGN="x86_64-linux",
            MAGIC=r"\x7fELF",
            MASK=r"\xff\xff",
            PROBE=self.probe,
            EMULATOR=self.emulator,
            TABLE=self.folder / "table",
            ROSETTA="rosetta",
            ROSETTA_DIR=self.folder / "rosetta",
            TAGS=self.folder / "tags",
            ROSETTA_CACHE="/data/rosetta/uds",
            NATIVE="",
            KVM=self.folder / "kvm",
            SAY=f"{say} --fact",
        )
        assert done.returncode == 0, done.stderr
        registered = self.folder / "table/register"
        return (
            registered.read_text() if registered.exists() else "",
            (self.folder / "features").read_text(),
            (self.folder / "platforms").read_text(),
        )


def test_what_runs_is_registered_and_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path, taken(tmp_path, **{"nix.emulate": ("x86_64-linux",)}))
    registered, features, platforms = machine.look()
    assert registered == rf":snowshed:M::\x7fELF:\xff\xff:{machine.emulator}:POF"
    assert platforms == "extra-platforms = x86_64-linux\n"
    assert features == "system-features = benchmark big-parallel\n"
    assert machine.said() == ["emulates x86_64-linux qemu-user"]


@pytest.mark.parametrize(("emulator", "runs"), [(False, True), (True, False)])
def test_what_does_not_run_is_not_told(tmp_path: Path, emulator: bool, runs: bool) -> None:
    settings = taken(tmp_path, **{"nix.emulate": ("x86_64-linux",)})
    machine = Machine(tmp_path, settings, emulator=emulator, runs=runs)
    assert machine.look()[2] == ""
    why = "does not run a program that only ends (status 1)" if emulator else "is not in this guest"
    assert machine.said() == [f"emulates x86_64-linux nothing qemu-user {why}"]


def test_what_nobody_asked_for_is_not_tried(tmp_path: Path) -> None:
    registered, _, platforms = Machine(tmp_path, taken(tmp_path)).look()
    assert (registered, platforms) == ("", "")


def test_rosetta_counts_as_asking(tmp_path: Path) -> None:
    machine = Machine(tmp_path, taken(tmp_path, rosetta=True))
    assert machine.look()[2] == "extra-platforms = x86_64-linux\n"
    assert machine.said() == ["emulates x86_64-linux qemu-user"], "the host lends none here"


@pytest.mark.parametrize(("meant", "there"), [(True, True), (True, False), (False, True)])
def test_kvm_is_told_where_it_is_and_is_meant(tmp_path: Path, meant: bool, there: bool) -> None:
    machine = Machine(tmp_path, taken(tmp_path, nested_virtualization=meant))
    features = machine.look(kvm=there)[1]
    assert (features.split()[-2:] == ["kvm", "nixos-test"]) is (meant and there)
    assert machine.said() == (["features kvm"] if meant and there else [])


def kind(disk: Path) -> str:
    found = subprocess.run(["blkid", "-p", "-o", "value", "-s", "TYPE", str(disk)], capture_output=True, text=True)
    return found.stdout.strip()


def test_a_blank_disk_is_formatted(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    done = run("format.sh", tmp_path, DATA=disk, LABEL=contract().labels.data)
    assert (done.returncode, kind(disk)) == (0, "ext4"), done.stderr


ZEROES = b"\0" * (8 << 20)


@pytest.mark.parametrize(
    "content",
    [b"\0" * 512 + b"somebody's data" + ZEROES, b"QFI\xfb" + ZEROES, ZEROES + b"a backup of a partition table"],
    ids=["data", "qcow2", "end"],
)
def test_a_disk_that_is_not_blank_is_left_alone(tmp_path: Path, content: bytes) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(content)
    before = disk.read_bytes()
    assert run("format.sh", tmp_path, DATA=disk, LABEL="x").returncode == 0
    assert disk.read_bytes() == before
