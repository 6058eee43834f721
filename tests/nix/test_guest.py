"""The NixOS guest, evaluated: it cannot be built where these tests run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snowshed.guest.contract import contract

Guest = Callable[[str], Any]


@pytest.fixture(scope="session")
def guest(evaluate: Callable[..., Any]) -> Guest:
    return lambda attribute: evaluate("guest.nix", attribute)


@pytest.mark.parametrize("which", ["aarch64-closure", "x86_64-closure", "aarch64-image", "x86_64-image"])
def test_it_is_a_derivation_for_both_systems_and_both_ways_to_boot(guest: Guest, which: str) -> None:
    assert guest(f"derivations.{which}").endswith(".drv")


def test_the_store_that_builds_happen_in_is_on_the_data_disk(guest: Guest) -> None:
    daemon = guest("units")["nix-daemon.service"]
    assert f'Environment="NIX_REMOTE=local?root={contract().data_dir}"' in daemon
    assert f"RequiresMountsFor={contract().data_dir}" in daemon
    assert f"?root={contract().data_dir} " in guest("sshd")["SetEnv"]
    assert guest("nix")["build-dir"].startswith(contract().data_dir + "/")


def test_a_build_that_runs_wild_dies_and_the_guest_lives(guest: Guest) -> None:
    daemon, builds = guest("units")["nix-daemon.service"], contract().builds
    for line in (
        f"MemoryMax={builds.memory_percent}%",
        f"TasksMax={builds.processes_percent}%",
        f"LimitNPROC={builds.processes_of_each}",
        "OOMPolicy=continue",
        "OOMScoreAdjust=500",
    ):
        assert f"\n{line}\n" in daemon
    assert "\nOOMScoreAdjust=-1000\n" in guest("units")["snowshed-agent.service"]


def test_the_system_is_read_only_and_what_lasts_is_one_disk(guest: Guest) -> None:
    mounts = guest("fileSystems")
    assert mounts["/nix/store"]["device"] == contract().shares.nix_store
    assert "ro" in mounts["/nix/store"]["options"]
    assert mounts["/"]["fsType"] == "tmpfs"
    assert {"nodelalloc", "discard", "nofail"} <= set(mounts["/data"]["options"])


def test_the_seed_comes_first(guest: Guest) -> None:
    seed = guest("units")["snowshed-seed.service"]
    assert "DefaultDependencies=false" in seed
    order = dict(line.split("=", 1) for line in seed.splitlines() if line.startswith(("After", "Before")))
    assert {"local-fs.target", "dev-snowshed-seed.device"} <= set(order["After"].split())
    assert {"sysinit.target", "nix-daemon.socket"} <= set(order["Before"].split())
    assert "snowshed-seed.service" in guest("units")["sshd.service"]


def test_disks_are_known_by_serial_and_by_label(guest: Guest) -> None:
    rules = guest("udev")
    for name, serial in (("data", contract().disks.data), ("seed", contract().disks.seed)):
        assert f'ATTR{{serial}}=="{serial}", SYMLINK+="snowshed/{name}"' in rules
    assert f'ENV{{ID_FS_LABEL}}=="{contract().labels.data}", SYMLINK+="snowshed/data"' in rules


def test_keys_come_from_the_seed_and_nobody_else_gets_in(guest: Guest) -> None:
    sshd = guest("sshd")
    assert sshd["authorizedKeysFiles"] == [f"{contract().run_dir}/{contract().seed.authorized_keys}"]
    assert (sshd["AllowUsers"], sshd["UsePAM"], sshd["PasswordAuthentication"]) == ([contract().user], False, False)
    assert (sshd["LoginGraceTime"], sshd["PerSourcePenalties"]) == (600, "no")
    assert guest("user") == {"hashedPassword": "*", "extraGroups": []}
    assert guest("sudo") is False


def test_ssh_over_vsock_has_no_limits_that_builds_reach(guest: Guest) -> None:
    socket = guest("units")["snowshed-vsock.socket"]
    assert f"ListenStream=vsock::{contract().ports.ssh}\n" in socket
    for line in ("Accept=true", "MaxConnections=1024", "TriggerLimitIntervalSec=0", "PollLimitIntervalSec=0"):
        assert f"{line}\n" in socket
    assert "KillMode=process" not in guest("units")["snowshed-vsock@.service"]
    assert guest("sshd")["generator"] == "/dev/null"


def test_the_hosts_word_is_included_and_what_was_found_wins_over_it(guest: Guest) -> None:
    included = [line.split("/")[-1] for line in guest("nix")["extraOptions"].splitlines() if "include" in line]
    assert included == ["features.conf", contract().seed.nix_conf, "platforms.conf"]
    assert guest("nix")["trusted-users"].count(contract().user) == 1
    assert guest("nix")["fsync-store-paths"] is True


def test_nobody_waits_for_an_address(guest: Guest) -> None:
    assert guest("waitOnline") is False
    assert "network-online" not in guest("units")["sshd.service"]


def test_every_stage_is_announced(guest: Guest) -> None:
    units = guest("units")
    announced = {name.removeprefix("snowshed-stage-").removesuffix(".service") for name in units if "-stage-" in name}
    assert announced | {"boot"} == set(contract().stages)


def test_the_agent_listens_where_the_host_looks(guest: Guest) -> None:
    units = guest("units")
    assert f"--path /dev/virtio-ports/{contract().agent_channel}" in units["snowshed-agent.service"]
    assert f":{contract().ports.agent}" in units["snowshed-agent-vsock.service"]


def test_the_initrd_is_systemds_and_has_what_it_needs(guest: Guest) -> None:
    initrd = guest("initrd")
    assert initrd["systemd"] is True
    assert {"virtiofs", "virtio_blk", "virtio_pci"} <= set(initrd["modules"])


def test_a_users_module_is_part_of_it_but_does_not_open_it(guest: Guest) -> None:
    assert guest("extra") == "deep"
    assert ["takes keys alone" in message for message in guest("refused")] == [True]


def test_systemd_sees_no_circle_in_the_units(guest: Guest, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    for name, text in guest("units").items():
        lines = [re.sub(r"^(Exec\w+)=.*", r"\1=/bin/true", line) for line in text.splitlines()]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "data.mount").write_text("[Mount]\nWhat=/dev/snowshed/data\nWhere=/data\n")
    (tmp_path / "nix-daemon.socket").write_text("[Socket]\nListenStream=/run/nix-daemon\n")
    units = sorted(path.name for path in tmp_path.glob("snowshed-*") if "@" not in path.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(f"./{unit}" for unit in units)],
        cwd=tmp_path,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system"},
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if "snowshed" in line and "PollLimit" not in line]
    assert said == []


def test_scripts_parse(guest: Guest) -> None:
    for name, text in guest("scripts").items():
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert (name, done.returncode, done.stderr) == (name, 0, "")
