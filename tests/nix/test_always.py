"""What needs no nixpkgs: every file parses, the contract is one, and what the modules write is what we read."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snowshed import config
from snowshed.config import Host
from snowshed.guest.contract import contract
from snowshed.model.machine import Arch
from snowshed.nix.registration import Plan
from snowshed.settings import TABLES
from snowshed.units import GIB, UnitError, parse_memory, parse_size

ROOT = Path(__file__).parents[2]
NIX = ROOT / "nix"
EXPECTED = Path(__file__).parent / "expected"
FILES = sorted([*NIX.rglob("*.nix"), ROOT / "flake.nix", *Path(__file__).parent.glob("*.nix")])
SCRIPTS = sorted(NIX.rglob("*.sh"))
SETTINGS = sorted(EXPECTED.glob("*/settings/*.json"))
UNITS = sorted(
    [*EXPECTED.glob("*/units/*.service"), *EXPECTED.glob("*/units/*.socket"), *EXPECTED.glob("*/units/*.path")]
)
Nix = Callable[[list[str]], str]
BIG_HOST = Host(cores=64, memory=256 * GIB, arch=Arch.AARCH64, platform="darwin")


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 40
    assert len(SCRIPTS) >= 5
    assert len(SETTINGS) >= 5
    assert len(UNITS) >= 5


def test_every_file_parses(any_nix: Nix) -> None:
    any_nix(["--parse", *map(str, FILES)])


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= (200 if file.is_relative_to(NIX) else 300)
    assert max(map(len, lines)) <= 132
    assert file.name == "flake.nix" or lines[0].startswith("# ")


def test_the_guest_modules_read_the_contract_that_python_reads(any_nix: Nix) -> None:
    text = any_nix(["--eval", "--strict", "--json", str(NIX / "contract.nix")])
    assert json.loads(text) == json.loads(msgspec.json.encode(contract()))


def test_the_modules_know_the_settings_that_there_are(any_nix: Nix) -> None:
    text = any_nix(["--eval", "--strict", "--json", str(NIX / "modules/shared/known-settings.nix")])
    tables = {name: table for name, table in TABLES.items() if name != "shares.*"}
    assert json.loads(text) == {name: sorted(table.__struct_fields__) for name, table in tables.items()}


@pytest.mark.parametrize(
    "size", ["8192", 8192, "6GiB", "100G", "1t", "512 M", "1024k", "007G", "lots", "-1G", "0", "5GB", "", "1.5G"]
)
def test_the_modules_read_sizes_as_the_command_does(any_nix: Nix, size: str | int) -> None:
    def ours(parse: Callable[[str | int], int]) -> int | None:
        try:
            return parse(size)
        except UnitError:
            return None

    of = "f: let bytes = f SIZE; in if bytes == null then null else builtins.ceil bytes".replace(
        "SIZE", json.dumps(size)
    )
    expression = f"with import {NIX / 'modules/shared/sizes.nix'}; map ({of}) [ memory disk ]"
    found = json.loads(any_nix(["--eval", "--strict", "--json", "--expr", expression]))
    assert found == [ours(parse_memory), ours(parse_size)]


def test_no_tag_serial_or_port_is_written_twice() -> None:
    """Names of the contract that are words of their own occur in no module."""
    agreed = contract()
    names = [agreed.agent_channel, agreed.run_dir, agreed.stage_mark, agreed.seed.host_key, agreed.labels.root]
    found = {
        (str(file.relative_to(ROOT)), name)
        for file in [*(NIX / "guest").glob("*.nix"), *(NIX / "guest").glob("*.sh")]
        for name in names
        if name in file.read_text()
    }
    assert found == set()


@pytest.mark.parametrize("file", SETTINGS, ids=lambda path: str(path.relative_to(EXPECTED)))
def test_settings_that_the_modules_write_are_a_configuration(file: Path) -> None:
    loaded = config.load(file, {}, BIG_HOST, {})
    assert loaded.port == json.loads(file.read_text())["port"]


@pytest.mark.parametrize("file", sorted(EXPECTED.glob("*/registration.json")), ids=lambda path: path.parent.name)
def test_plans_that_the_modules_write_are_plans(file: Path) -> None:
    assert msgspec.json.decode(file.read_bytes(), type=Plan).builders


def _unit_folder(folder: Path) -> list[Path]:
    """The units as files that systemd can look into: what they start is there."""
    placed = []
    for unit in UNITS:
        text = unit.read_text()
        lines = ["ExecStart=/bin/true" if line.startswith("ExecStart=") else line for line in text.splitlines()]
        target = folder / unit.name
        target.write_text("\n".join(lines) + "\n")
        placed.append(target)
    return placed


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    units = [str(path) for path in _unit_folder(tmp_path)]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "snowshed" in line]
    assert ours == []


def test_a_builder_of_the_nixos_module_is_locked_up(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    services = [
        path for path in _unit_folder(tmp_path) if path.name in ("snowshed-default.service", "snowshed-arm.service")
    ]
    assert len(services) == 2
    for service in services:
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(service)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout.splitlines()[-1:]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_parse(file: Path) -> None:
    done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
