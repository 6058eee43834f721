"""From words on the command line to the configuration's layer, and back to a file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from snowshed.cli.config import as_written, toml
from snowshed.cli.options import Invocation, layer
from snowshed.config import BuilderConfig, Host, IdleConfig, ShareConfig, load
from snowshed.errors import UserError
from snowshed.model.machine import Arch
from snowshed.units import GIB, MIB

HOST = Host(cores=8, memory=64 * GIB, arch=Arch.X86_64, platform="linux")


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"cores": None, "memory": "6GiB"}, {"memory": "6GiB"}),
        ({"system": "aarch64-linux"}, {"system": "aarch64-linux"}),
        ({"system": "/nix/store/x-system"}, {"system_path": "/nix/store/x-system"}),
        ({"idle_timeout": "0", "idle_action": "stop"}, {"idle.timeout": "0", "idle.action": "stop"}),
        ({"rosetta": False, "share_nix_store": True}, {"rosetta": False, "share_nix_store": True}),
    ],
)
def test_only_what_was_given_counts_under_the_configurations_names(
    given: dict[str, object], options: dict[str, object]
) -> None:
    assert layer(given) == options


def test_paths_are_those_of_the_shell_that_ran_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert layer({"kernel": "bzImage"}) == {"kernel": str(tmp_path / "bzImage")}


def test_the_words_of_the_command_line_mean_what_the_readme_says() -> None:
    words = {"cores": "2", "memory": "4096", "disk_size": "1t", "idle_timeout": "90", "port": "4000"}
    config = load(None, layer(dict(words)), HOST, {})
    assert (config.cores, config.memory, config.disk_size) == (2, 4096 * MIB, 1 << 40)
    assert (config.idle.timeout, config.port) == (90 * 60.0, 4000)


def test_an_existing_disk_keeps_its_size_unless_another_is_asked_for(tmp_path: Path) -> None:
    remembered = {"disk_size": 20 * GIB}
    assert load(None, {}, HOST, {}, remembered=remembered).disk_size == 20 * GIB
    assert load(None, {"disk_size": "30G"}, HOST, {}, remembered=remembered).disk_size == 30 * GIB
    file = tmp_path / "one.toml"
    file.write_text('disk_size = "40G"\n')
    assert load(file, {}, HOST, {}, remembered=remembered).disk_size == 40 * GIB


def test_the_state_directory_of_the_environment_gives_way_to_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    invocation = Invocation()
    monkeypatch.setenv("SNOWSHED_STATE_DIR", "/from/environment")
    assert invocation.paths.state == Path("/from/environment")
    invocation.state_dir = Path("/from/option")
    assert invocation.paths.state == Path("/from/option")


def test_a_configuration_file_that_was_named_has_to_be_there() -> None:
    invocation = Invocation()
    invocation.config_file = Path("/nowhere/one.toml")
    with pytest.raises(UserError, match="There is no configuration file"):
        invocation.configuration({})


@pytest.mark.parametrize(
    "config",
    [
        load(None, {}, HOST, {}),
        BuilderConfig(
            system="aarch64-linux",
            memory=1536 * MIB,
            disk_size=GIB + 512,
            idle=IdleConfig(timeout=90.0),
            shares={"my-src": ShareConfig("/src", read_only=False)},
        ),
    ],
)
def test_what_config_show_prints_can_be_read_again(config: BuilderConfig, tmp_path: Path) -> None:
    """A plain number of memory is MiB in a file: bytes printed there would come back a million times as large."""
    file = tmp_path / "one.toml"
    file.write_text(toml(as_written(config)))
    tomllib.loads(file.read_text())
    assert load(file, {}, HOST, {}) == config
    as_json = tmp_path / "one.json"
    as_json.write_bytes(msgspec.json.encode(as_written(config)))
    assert load(as_json, {}, HOST, {}) == config
