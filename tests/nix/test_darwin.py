"""services.snowshed under the real nix-darwin: plists, ssh configuration, activation, Nix's settings, and refusals."""

from __future__ import annotations

import json
import plistlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snowshed.service.launchd import Job, launcher, plist
from snowshed.ssh.config import ssh_config

NIX = Path(__file__).parents[2] / "nix"
Matches = Callable[[str, str], None]
Darwin = Callable[[str], Any]


@pytest.fixture(scope="session")
def darwin(evaluate: Callable[..., Any]) -> Darwin:
    return lambda attribute: evaluate("darwin.nix", attribute, darwin=True)


@pytest.mark.parametrize("name", ["plain", "several", "virby", "darwinVz"])
def test_what_a_configuration_becomes(darwin: Darwin, matches: Matches, name: str) -> None:
    seen = darwin(name)
    assert seen["toplevel"].endswith(".drv")
    for builder, settings in seen["settings"].items():
        matches(f"{name}/settings/{builder}.json", json.dumps(settings, indent=2, sort_keys=True))
    for daemon, text in seen["daemons"].items():
        matches(f"{name}/{daemon}", text)
    for file, text in seen["ssh"].items():
        matches(f"{name}/{Path(file).name}", text)
    matches(f"{name}/registration.json", json.dumps(seen["plan"], indent=2))
    matches(f"{name}/extraActivation.sh", seen["extraActivation"])
    matches(f"{name}/warnings.txt", "\n".join(seen["warnings"]))


def test_nix_is_told_where_to_look(darwin: Darwin) -> None:
    assert darwin("plain")["nix"] == {
        "distributedBuilds": True,
        "builders": "@/etc/nix/machines;@/var/lib/snowshed/machines",
        "builders-use-substitutes": True,
        "build-poll-interval": 1,
    }


def test_the_activation_runs_in_scripts_that_nix_darwin_runs(darwin: Darwin) -> None:
    """A predecessor's activation had a name of its own, which nix-darwin never calls."""
    script = darwin("plain")["script"]
    assert script.index("snowshedClaim /Users/_snowshed") < script.index("setting up launchd services")
    gone = darwin("off")["script"]
    assert gone.index("removing service") < gone.index("dscl . -delete /Users/_snowshed")


def test_the_disks_stay_unless_somebody_says_otherwise(darwin: Darwin) -> None:
    off = darwin("off")
    assert "rm -rf /var/lib/snowshed\n" not in off["script"]
    assert "rm -rf /var/lib/snowshed\n" in off["purged"]


def test_a_daemon_is_what_the_command_would_install(darwin: Darwin) -> None:
    """Where the two differ, it is on purpose: the socket is always launchd's here, so that no connection is refused."""
    ours = plistlib.loads(darwin("plain")["daemons"]["org.nixos.snowshed-default.plist"].encode())
    job = Job(
        builder="default",
        program=tuple(ours["ProgramArguments"][1:]),
        launcher=Path(ours["ProgramArguments"][0]),
        port=31222,
        state=Path("/var/lib/snowshed/default"),
        log=Path("/var/lib/snowshed/default/service.log"),
        on_demand=False,
        user="_snowshed",
        environment=ours["EnvironmentVariables"],
    )
    theirs = plist(job)
    assert {key: value for key, value in ours.items() if key not in ("Label", "Sockets")} == {
        key: value for key, value in theirs.items() if key != "Label"
    }
    assert (NIX / "packages/launcher.sh").read_text() == launcher()


def test_ssh_is_told_the_same_as_by_the_command(darwin: Darwin) -> None:
    text = darwin("plain")["ssh"]["ssh/ssh_config.d/100-snowshed-default.conf"]
    key = Path("/var/lib/snowshed/default/ssh/id_ed25519")
    theirs = ssh_config("default", 31222, key, Path("/var/lib/snowshed/known_hosts"))

    def options(config: str) -> dict[str, str]:
        return dict(line.split(None, 1) for line in config.strip().splitlines())

    differing = {"UserKnownHostsFile", "GlobalKnownHostsFile"}
    assert {k: v for k, v in options(text).items() if k not in differing} == {
        k: v for k, v in options(theirs).items() if k not in differing
    }


def test_the_guest_is_the_same_whatever_else_changes(darwin: Darwin) -> None:
    guest = darwin("guest")
    assert guest["one"] == guest["other"]
    assert guest["one"]["system_path"] != guest["richer"]["system_path"]


def test_determinate_nix_is_told_in_its_own_way(darwin: Darwin) -> None:
    seen = darwin("determinate")
    assert seen["module"]["builders"] == "@/etc/nix/machines;@/var/lib/snowshed/machines"
    assert "builders = @/etc/nix/machines;@/var/lib/snowshed/machines\n" in seen["alone"]
    assert any("builders = @/etc/nix/machines" in warning for warning in seen["byHand"])


def test_nixpkgs_builder_can_be_replaced_by_one_line(darwin: Darwin, matches: Matches) -> None:
    sizes = darwin("linuxBuilder")["sizes"]
    assert sizes["toplevel"].endswith(".drv")
    matches("linuxBuilder/settings/sizes.json", json.dumps(sizes["settings"], indent=2, sort_keys=True))
    matches("linuxBuilder/machines", sizes["machines"])
    assert "/var/lib/linux-builder/bob.qcow2" in sizes["script"]


def test_only_more_than_sizes_makes_a_guest_of_its_own(darwin: Darwin) -> None:
    seen = darwin("linuxBuilder")
    assert "system_path" not in seen["sizes"]["settings"]
    assert seen["more"]["settings"]["system_path"].startswith("/nix/store/")


def test_each_daemon_finds_what_its_driver_starts(darwin: Darwin) -> None:
    """launchd's PATH has nothing of Nix's: QEMU is there for a guest of the other architecture, asked for or not."""
    drivers = darwin("drivers")
    found = {
        name: [part.split("-")[1] for part in path.split(":") if part.startswith("/nix")]
        for name, path in drivers["paths"].items()
    }
    assert found == {"default": ["vfkit"], "krun": ["krunkit"], "intel": ["qemu"], "own": []}
    assert drivers["toplevel"].endswith(".drv")


def test_krunkit_gets_the_image_that_firmware_boots(darwin: Darwin) -> None:
    images = darwin("drivers")["images"]
    assert images["krun"].endswith("-snowshed-image-efi-aarch64-linux")
    assert images["default"].endswith("-snowshed-image-aarch64-linux")
    assert images["intel"].endswith("-snowshed-image-x86_64-linux")


def test_a_builder_in_a_predecessors_directory_is_found_by_the_command(darwin: Darwin) -> None:
    assert darwin("elsewhere") == {"snowshed/default.state": "/var/lib/virby/default"}


def test_activation_texts_are_scripts(darwin: Darwin) -> None:
    for text in (darwin("plain")["script"], darwin("off")["script"]):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
