"""systemd's units, whole, and what systemd itself thinks of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.services import DESCRIPTION as SYSTEM

from snowshed.config import BuilderConfig, ShareConfig
from snowshed.service import systemd
from snowshed.service.description import describe
from snowshed.service.systemd import Layout, load_commands, service_unit, socket_unit, unload_commands
from snowshed.units import GIB

OWN = replace(SYSTEM, user="", home=Path("/home/ada"), state=Path("/home/ada/.local/share/snowshed/default"))

MOST_EXPOSED = 3.0
"""Of ten, by systemd's own count; a service that does nothing about it has 9.6."""


def section(text: str, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    (body,) = re.findall(rf"^\[{name}\]\n(.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    for line in body.splitlines():
        option, _, value = line.partition("=")
        found.setdefault(option, []).append(value)
    return found


def test_the_socket_whole() -> None:
    assert socket_unit(SYSTEM) == (
        "[Unit]\nDescription=SSH to the Linux builder default\n\n"
        "[Socket]\nListenStream=127.0.0.1:31222\nFileDescriptorName=ssh\nBacklog=1024\nTriggerLimitIntervalSec=0\n\n"
        "[Install]\nWantedBy=sockets.target\n"
    )


def test_the_service_of_the_system() -> None:
    text = service_unit(SYSTEM)
    options = section(text, "Service")
    assert options["ExecStart"] == ["/opt/snowshed/bin/snowshed run -b default --on-demand"]
    assert options["User"] == ["snowshed"]
    assert options["SupplementaryGroups"] == ["kvm"]
    assert options["TimeoutStopSec"] == ["50"]
    assert options["KillMode"] == ["mixed"]
    assert options["MemoryMax"] == [str(3 * GIB)]
    assert options["ReadWritePaths"] == ["-/var/lib/snowshed/default", "-/var/lib/snowshed/.cache"]
    assert section(text, "Unit")["Requires"] == ["snowshed-default.socket"]
    assert "[Install]" not in text, "nothing but a connection starts it"


def test_a_service_that_is_always_there() -> None:
    assert section(service_unit(replace(SYSTEM, on_demand=False)), "Install") == {"WantedBy": ["multi-user.target"]}
    assert section(service_unit(replace(OWN, on_demand=False)), "Install") == {"WantedBy": ["default.target"]}


def test_a_users_own_manager_is_asked_for_nothing_that_it_cannot_do() -> None:
    options = section(service_unit(OWN), "Service")
    assert not {"User", "ProtectSystem", "DevicePolicy", "CapabilityBoundingSet", "PrivateTmp"} & set(options)
    assert options["NoNewPrivileges"] == ["yes"]


def test_shared_directories_open_no_more_than_they_need() -> None:
    shared = replace(SYSTEM, shares={"/home/ada/in": False, "/srv/out dir": True})
    options = section(service_unit(shared), "Service")
    assert options["ReadWritePaths"][2:] == ['"-/srv/out dir"']
    assert options["RestrictNamespaces"] == ["user mnt pid net"]
    assert options["ProtectHome"] == ["read-only"]


def test_words_that_systemd_would_take_for_something_else() -> None:
    odd = replace(SYSTEM, program=("/opt/a b/snowshed", "run", "--config", "/etc/$x/50%.toml", 'say "no"', ""))
    (line,) = section(service_unit(odd), "Service")["ExecStart"]
    assert line == '"/opt/a b/snowshed" run --config /etc/$$x/50%%.toml "say \\"no\\"" ""'


def test_where_units_lie_and_what_loads_them() -> None:
    assert Layout().service("arm") == Path("/etc/systemd/system/snowshed-arm.service")
    assert Layout(Path("/home/ada")).socket("arm") == Path("/home/ada/.config/systemd/user/snowshed-arm.socket")
    assert load_commands(SYSTEM) == [
        ["systemctl", "--system", "daemon-reload"],
        ["systemctl", "--system", "enable", "--now", "snowshed-default.socket"],
    ]
    assert load_commands(replace(OWN, on_demand=False))[1][-2:] == [
        "snowshed-default.socket",
        "snowshed-default.service",
    ]
    assert unload_commands("arm", is_system=False) == [
        ["systemctl", "--user", "disable", "--now", "snowshed-arm.socket", "snowshed-arm.service"]
    ]


def test_a_description_from_a_configuration() -> None:
    config = BuilderConfig(
        system="x86_64-linux", port=31300, memory=8 * GIB, stop_grace=5, shares={"in": ShareConfig("/srv/in", False)}
    )
    found = describe(
        "arm",
        config,
        snowshed=("/bin/snowshed",),
        state=Path("/var/lib/snowshed/arm"),
        config_file=Path("/etc/snowshed/arm.toml"),
        always=True,
    )
    assert found.program == (
        "/bin/snowshed",
        *("run", "-b", "arm", "--state-dir", "/var/lib/snowshed/arm", "--config", "/etc/snowshed/arm.toml"),
        "--no-on-demand",
    )
    assert (found.port, found.shares, found.stop_grace) == (31300, {"/srv/in": True}, 5)
    assert found.most_memory == 10 * GIB


def test_a_guest_that_boots_from_the_hosts_store_is_lent_it_by_the_service() -> None:
    """virtiofsd locks itself up in namespaces; where the unit forbids these, the guest does not start."""
    config = BuilderConfig(kernel="/k", initrd="/i", system_path="/nix/store/x", shares={"in": ShareConfig("/srv/in")})
    found = describe("arm", config, snowshed=("/bin/snowshed",), state=Path("/s"), config_file=Path("/c"), user="snow")
    assert found.shares == {"/nix/store": False, "/srv/in": False}
    assert section(service_unit(found), "Service")["RestrictNamespaces"] == ["user mnt pid net"]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as files, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    real = replace(SYSTEM, program=("/bin/true", *SYSTEM.program[1:]))
    (tmp_path / "snowshed-default.service").write_text(service_unit(real))
    (tmp_path / "snowshed-default.socket").write_text(socket_unit(real))
    return tmp_path


def analyze(*words: str, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], cwd=at, capture_output=True, text=True, env={"PATH": "/usr/bin"})


def test_systemd_understands_every_option(units: Path) -> None:
    done = analyze("verify", "./snowshed-default.service", "./snowshed-default.socket", at=units)
    complaints = [line for line in done.stderr.splitlines() if "snowshed-default" in line]
    assert complaints == []


@pytest.mark.parametrize("shares", [{}, {"/srv/out": True}])
def test_systemd_finds_the_service_hardly_exposed(units: Path, shares: dict[str, bool]) -> None:
    (units / "snowshed-default.service").write_text(service_unit(replace(SYSTEM, shares=shares)))
    done = analyze("security", "--offline=true", "--no-pager", "./snowshed-default.service", at=units)
    (exposure,) = re.findall(r"Overall exposure level .*: (\d+\.\d+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSED


def test_the_name_of_the_socket_is_the_supervisors() -> None:
    from snowshed.supervisor.main import SOCKET_NAME

    assert systemd.SOCKET_NAME == SOCKET_NAME
