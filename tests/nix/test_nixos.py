"""services.snowshed on a NixOS host: units, and who may do what."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snowshed import config
from snowshed.config import Host
from snowshed.model.machine import Arch
from snowshed.service.description import Description, describe
from snowshed.service.systemd import service_unit, socket_unit
from snowshed.units import GIB

BIG_HOST = Host(cores=64, memory=256 * GIB, arch=Arch.X86_64, platform="linux")


@pytest.fixture(scope="session")
def host(evaluate: Callable[..., Any]) -> Any:
    return evaluate("nixos.nix", "host")


def test_what_a_configuration_becomes(host: Any, matches: Callable[[str, str], None]) -> None:
    assert host["toplevel"].endswith(".drv")
    for unit, text in host["units"].items():
        lines = [line for line in text.splitlines() if not line.startswith(('Environment="PATH', 'Environment="LOC'))]
        matches(f"nixos/units/{unit}", "\n".join(line for line in lines if "TZDIR=" not in line))
    for builder, settings in host["settings"].items():
        matches(f"nixos/settings/{builder}.json", json.dumps(settings, indent=2, sort_keys=True))
    matches("nixos/ssh_config", host["ssh"])
    matches("nixos/registration.json", json.dumps(host["plan"], indent=2))


def test_systemd_holds_the_socket_under_the_name_that_the_supervisor_asks_for(host: Any) -> None:
    socket = host["units"]["snowshed-default.socket"]
    assert "FileDescriptorName=ssh\n" in socket
    assert "ListenStream=127.0.0.1:31222\n" in socket
    assert "WantedBy=multi-user.target" not in host["units"]["snowshed-default.service"]
    assert "WantedBy=multi-user.target" in host["units"]["snowshed-arm.service"]


def words(unit: str) -> dict[str, set[str]]:
    """The words of every option of a unit, in whatever way it lists them and spells yes."""
    found = defaultdict(set)
    for line in unit.splitlines():
        option, is_option, value = line.partition("=")
        if is_option:
            found[option] |= {{"true": "yes"}.get(word, word) for word in value.replace('"', "").split()}
    return {option: value for option, value in found.items() if value}


def described(host: Any, builder: str, folder: Path) -> Description:
    """What `snowshed service install` makes a service of: the settings that the module writes."""
    file = folder / f"{builder}.json"
    file.write_text(json.dumps(host["settings"][builder]))
    loaded = config.load(file, {}, BIG_HOST, {})
    state = Path("/var/lib/snowshed") / builder
    return describe(
        builder,
        loaded,
        snowshed=("snowshed",),
        state=state,
        config_file=file,
        always=not loaded.on_demand,
        user="snowshed",
    )


@pytest.mark.parametrize("builder", ["default", "arm"])
def test_the_units_are_what_the_command_would_install(host: Any, tmp_path: Path, builder: str) -> None:
    """Where the two differ, it is on purpose: the account has its groups, and images are Nix's, from no cache."""
    service = described(host, builder, tmp_path)
    ours, theirs = words(host["units"][f"snowshed-{builder}.service"]), words(service_unit(service))
    apart = {"Description", "Environment", "ExecStart", "ReadWritePaths"}
    assert {k: v for k, v in ours.items() if k not in apart} == {k: v for k, v in theirs.items() if k not in apart}
    writable = {path for path in theirs["ReadWritePaths"] if not path.endswith("/.cache")}
    assert {path.lstrip("-") for path in ours["ReadWritePaths"]} == {path.lstrip("-") for path in writable}
    assert ours["ExecStart"] - {"--no-on-demand"} >= {
        "run",
        "-b",
        builder,
        "--config",
        "--state-dir",
        str(service.state),
    }
    ours, theirs = words(host["units"][f"snowshed-{builder}.socket"]), words(socket_unit(service))
    assert ours == theirs


def test_a_guest_that_boots_from_the_hosts_store_is_lent_it(evaluate: Callable[..., Any]) -> None:
    """virtiofsd locks itself up in namespaces; where the unit forbids these, the guest does not start."""
    unit = words(evaluate("nixos.nix", "lent"))
    assert unit["RestrictNamespaces"] == {"user", "mnt", "pid", "net"}
    assert unit["MemoryMax"] == {str(15 * GIB)}
    assert unit["ReadWritePaths"] == {"/srv/builders/default"}


def test_what_a_share_takes_is_on_the_path(evaluate: Callable[..., Any]) -> None:
    """A unit of NixOS has neither sh nor unshare on its own."""
    assert {"bash-interactive", "util-linux", "virtiofsd", "qemu", "openssh"} <= set(evaluate("nixos.nix", "programs"))


def test_nix_is_told_where_to_look(host: Any) -> None:
    assert host["nix"] == {
        "distributedBuilds": True,
        "builders": "@/etc/nix/machines;@/var/lib/snowshed/machines",
        "build-poll-interval": 1,
    }


def test_the_user_is_nobody_else(host: Any) -> None:
    """Nix kills every process of its build group after a build."""
    assert host["user"] == {"isSystemUser": True, "group": "snowshed", "extraGroups": ["kvm"]}
    assert "snowshed" not in host["builderGroup"]


def test_what_a_linux_host_has_not_is_said(evaluate: Callable[..., Any]) -> None:
    messages = evaluate("nixos.nix", "failures")
    assert [m.split(": ", 1)[0] for m in messages] == ["services.snowshed.builders.default"] * 3
    assert ["Rosetta" in m or "vz" in m or "HVF" in m for m in messages] == [True] * 3


def test_a_module_that_is_not_enabled_does_nothing(evaluate: Callable[..., Any]) -> None:
    assert evaluate("nixos.nix", "nothing") is False
