"""launchd's property lists, whole, and the launcher, which runs here as it would there."""

from __future__ import annotations

import plistlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from snowshed.service.launchd import (
    Job,
    Layout,
    account_commands,
    free_id,
    launcher,
    load_commands,
    plist,
    remove_account_commands,
    render,
    unload_command,
)

SYSTEM = Layout()
OWN = Layout(Path("/Users/ann"))

DAEMON = Job(
    builder="default",
    program=("/nix/store/x-snowshed/bin/snowshed", "run", "--on-demand"),
    launcher=SYSTEM.launcher,
    port=31222,
    state=Path("/var/lib/snowshed/default"),
    log=SYSTEM.log("default"),
    user="_snowshed",
    environment={"PATH": "/usr/bin:/bin"},
)


def test_a_system_job_on_demand_whole() -> None:
    assert plist(DAEMON) == {
        "Label": "org.snowshed.default",
        "ProgramArguments": [
            "/Library/Application Support/snowshed/snowshed",
            "/nix/store/x-snowshed/bin/snowshed",
            "run",
            "--on-demand",
        ],
        "WorkingDirectory": "/var/lib/snowshed/default",
        "StandardOutPath": "/var/log/snowshed/default.log",
        "StandardErrorPath": "/var/log/snowshed/default.log",
        "RunAtLoad": False,
        "ExitTimeOut": 50,
        "ThrottleInterval": 1,
        "ProcessType": "Interactive",
        "SoftResourceLimits": {"NumberOfFiles": 16384},
        "HardResourceLimits": {"NumberOfFiles": 16384},
        "Umask": 0o077,
        "Sockets": {
            "ssh": {
                "SockNodeName": "127.0.0.1",
                "SockServiceName": "31222",
                "SockFamily": "IPv4",
                "SockType": "stream",
                "SockPassive": True,
            }
        },
        "UserName": "_snowshed",
        "GroupName": "_snowshed",
        "InitGroups": True,
        "EnvironmentVariables": {"PATH": "/usr/bin:/bin"},
    }


def test_a_users_job_that_is_always_on_whole() -> None:
    job = Job(
        builder="intel",
        program=("/opt/venv/bin/snowshed", "run", "-b", "intel"),
        launcher=OWN.launcher,
        port=31223,
        state=Path("/Users/ann/.local/share/snowshed/intel"),
        log=OWN.log("intel"),
        on_demand=False,
        stop_grace=45.5,
    )
    assert plist(job) == {
        "Label": "org.snowshed.intel",
        "ProgramArguments": [
            "/Users/ann/Library/Application Support/snowshed/snowshed",
            *("/opt/venv/bin/snowshed", "run", "-b", "intel"),
        ],
        "WorkingDirectory": "/Users/ann/.local/share/snowshed/intel",
        "StandardOutPath": "/Users/ann/Library/Logs/snowshed/intel.log",
        "StandardErrorPath": "/Users/ann/Library/Logs/snowshed/intel.log",
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": 66,
        "ThrottleInterval": 1,
        "ProcessType": "Interactive",
        "SoftResourceLimits": {"NumberOfFiles": 16384},
        "HardResourceLimits": {"NumberOfFiles": 16384},
        "Umask": 0o077,
    }


def test_the_file_is_a_property_list_that_reads_back() -> None:
    assert plistlib.loads(render(DAEMON)) == plist(DAEMON)
    assert b"<!--" not in render(DAEMON)


@pytest.mark.parametrize("on_demand", [True, False])
def test_keep_alive_never_fights_a_stop(on_demand: bool) -> None:
    """A job that exits with 0 stays down: a plain ``KeepAlive = true`` would start an idle builder again for ever."""
    kept = plist(replace(DAEMON, on_demand=on_demand)).get("KeepAlive")
    assert kept in (None, {"SuccessfulExit": False})


@pytest.mark.parametrize("grace", [0.0, 30.0, 600.0])
def test_launchd_waits_longer_than_the_guest_may_take(grace: float) -> None:
    timeout = plist(replace(DAEMON, stop_grace=grace))["ExitTimeOut"]
    assert isinstance(timeout, int)
    assert timeout >= grace + 20


def test_no_log_lies_where_everybody_may_write() -> None:
    for layout in (SYSTEM, OWN):
        assert not str(layout.log("default")).startswith("/tmp")


def test_loading_and_unloading() -> None:
    assert load_commands(DAEMON, SYSTEM, 0) == [
        ["/bin/launchctl", "enable", "system/org.snowshed.default"],
        ["/bin/launchctl", "bootstrap", "system", "/Library/LaunchDaemons/org.snowshed.default.plist"],
    ]
    assert load_commands(DAEMON, OWN, 501)[1] == [
        *("/bin/launchctl", "bootstrap", "gui/501"),
        "/Users/ann/Library/LaunchAgents/org.snowshed.default.plist",
    ]
    assert unload_command(DAEMON, OWN, 501) == ["/bin/launchctl", "bootout", "gui/501/org.snowshed.default"]


def test_the_services_user_has_an_id_that_nobody_has() -> None:
    assert free_id([]) == 360
    assert free_id([360, 361, 363]) == 362
    with pytest.raises(LookupError):
        free_id(range(300, 500))


def test_what_is_made_for_the_services_user_is_taken_away_again() -> None:
    made = {command[3] for command in account_commands("_snowshed", 360, Path("/var/lib/snowshed"))}
    assert made == {command[3] for command in remove_account_commands("_snowshed")}
    assert all("nixbld" not in word for command in account_commands("_s", 360, Path("/x")) for word in command)


def run_launcher(folder: Path, *words: str) -> tuple[list[str], str]:
    """What the launcher waited for, in order, and what the program printed."""
    waits = folder / "waits"
    waits.write_text("")
    wait4path = folder / "wait4path"
    wait4path.write_text(f'#!/bin/sh\necho "$1" >> {waits}\n')
    wait4path.chmod(0o755)
    script = folder / "snowshed"
    script.write_text(launcher(str(wait4path)))
    script.chmod(0o755)
    done = subprocess.run([script, *words], capture_output=True, text=True)
    return waits.read_text().split(), done.stdout


def test_a_program_outside_nix_starts_at_once(tmp_path: Path) -> None:
    program = tmp_path / "echo"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    assert run_launcher(tmp_path, str(program), "a b", "$c") == ([], "a b $c\n")


def test_a_program_in_the_store_waits_for_the_volume_and_for_itself(tmp_path: Path) -> None:
    waits, _ = run_launcher(tmp_path, "/nix/store/x-snowshed/bin/snowshed", "run")
    assert waits == ["/nix/store", "/nix/store/x-snowshed/bin/snowshed"]


def test_a_program_that_is_a_link_into_the_store_is_waited_for(tmp_path: Path) -> None:
    assert run_launcher(tmp_path, "/run/current-system/sw/bin/snowshed")[0] == ["/run/current-system/sw/bin/snowshed"]


def test_the_program_takes_the_launchers_place(tmp_path: Path) -> None:
    """One process, so that launchd's signals and its sockets reach the program itself."""
    _, printed = run_launcher(tmp_path, "/bin/sh", "-c", "readlink /proc/$PPID/exe; echo $0", "x")
    assert "/sh" not in printed.splitlines()[0]
