"""services.snowshed on a NixOS host: units, and who may do what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


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
