"""What an installation does, step by step, on systemd and on a Mac; and that steps do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.services import DESCRIPTION

from snowshed.errors import GuestError, UserError
from snowshed.service import launchd
from snowshed.service.installation import WRITTEN, Host, clear, install, job_of, remains, start, stop
from snowshed.service.steps import Folder, Remove, Run, Step, Write, carry_out

LINUX = Host("linux")
MAC = Host("darwin", taken_ids=(360, 361), uid=0)
OWN = replace(DESCRIPTION, user="", home=Path("/home/ada"), config=Path("/home/ada/.config/snowshed/default.toml"))


def said(steps: list[Step]) -> list[str]:
    return [str(step) for step in steps]


def test_a_system_builder_on_linux() -> None:
    assert said([*install(DESCRIPTION, LINUX, "cores = 2\n"), *start(DESCRIPTION, LINUX)]) == [
        "run useradd --system --user-group --no-create-home --home-dir /var/lib/snowshed --shell /usr/sbin/nologin "
        "--comment 'Linux builders for Nix' snowshed",
        "directory /var/lib/snowshed (0755)",
        "directory /var/lib/snowshed/default (0711, snowshed's)",
        "run chown -R snowshed:snowshed /var/lib/snowshed/default",
        "directory /var/lib/snowshed/.cache (0755, snowshed's)",
        "file /etc/snowshed/default.toml",
        "file /etc/systemd/system/snowshed-default.socket",
        "file /etc/systemd/system/snowshed-default.service",
        "run systemctl --system daemon-reload",
        "run systemctl --system enable --now snowshed-default.socket",
    ]


def test_an_account_that_is_there_is_not_made_again() -> None:
    steps = said(list(install(DESCRIPTION, replace(LINUX, has_account=True), "")))
    assert not [step for step in steps if "useradd" in step]


def test_a_configuration_that_is_there_is_kept() -> None:
    (config,) = [step for step in install(DESCRIPTION, LINUX, "cores = 2\n") if isinstance(step, Write)]
    assert config.keep
    assert config.data.decode() == f"{WRITTEN}cores = 2\n"


def test_a_users_own_builder_needs_no_account() -> None:
    assert said([*install(OWN, LINUX, ""), *start(OWN, LINUX)]) == [
        "file /home/ada/.config/snowshed/default.toml",
        "file /home/ada/.config/systemd/user/snowshed-default.socket",
        "file /home/ada/.config/systemd/user/snowshed-default.service",
        "run systemctl --user daemon-reload",
        "run systemctl --user enable --now snowshed-default.socket",
    ]


def test_a_system_builder_on_a_mac() -> None:
    service = replace(DESCRIPTION, user="_snowshed")
    steps = said([*install(service, MAC, ""), *start(service, MAC)])
    assert "run /usr/bin/dscl . -create /Users/_snowshed UniqueID 362" in steps
    assert steps[-6:] == [
        "file /Library/Application Support/snowshed/snowshed",
        "directory /var/log/snowshed (0755, _snowshed's)",
        "run /bin/launchctl bootout system/org.snowshed.default",
        "file /Library/LaunchDaemons/org.snowshed.default.plist",
        "run /bin/launchctl enable system/org.snowshed.default",
        "run /bin/launchctl bootstrap system /Library/LaunchDaemons/org.snowshed.default.plist",
    ]
    job = job_of(service)
    assert (job.user, job.port, job.program) == ("_snowshed", 31222, service.program)
    assert job.environment["HOME"] == "/var/lib/snowshed"
    assert launchd.plist(job)["Sockets"]


def test_a_users_own_builder_on_a_mac() -> None:
    own = replace(OWN, home=Path("/Users/ada"))
    steps = said(start(own, replace(MAC, uid=501)))
    assert "file /Users/ada/Library/LaunchAgents/org.snowshed.default.plist" in steps
    assert steps[-1].startswith("run /bin/launchctl bootstrap gui/501 ")


def test_the_service_is_taken_away() -> None:
    assert said(stop("default", LINUX, home=None)) == [
        "run systemctl --system disable --now snowshed-default.socket snowshed-default.service",
        "remove /etc/systemd/system/snowshed-default.socket",
        "remove /etc/systemd/system/snowshed-default.service",
        "run systemctl --system daemon-reload",
    ]
    assert said(stop("default", MAC, home=None, user="_snowshed"))[:2] == [
        "run /bin/launchctl bootout system/org.snowshed.default",
        "remove /Library/LaunchDaemons/org.snowshed.default.plist",
    ]


STATE = Path("/var/lib/snowshed/default")
CONFIG = Path("/etc/snowshed/default.toml")


def test_the_disk_stays_and_belongs_to_root() -> None:
    found = [STATE / name for name in ("config.json", "disk.img", "ssh")]
    host = replace(LINUX, has_account=True)
    assert said(
        [
            *remains(found, purge=False),
            *clear("default", host, state=STATE, config=CONFIG, others=(), purge=False, user="snowshed"),
        ]
    ) == [
        "remove /var/lib/snowshed/default/config.json",
        "remove /var/lib/snowshed/default/ssh",
        "remove /etc/snowshed/default.toml",
        "run chown -R 0:0 /var/lib/snowshed/default",
        "directory /var/lib/snowshed/default (0700)",
        "remove /var/lib/snowshed/.cache",
        "remove /var/lib/snowshed if it is empty",
        "remove /etc/snowshed if it is empty",
        "run userdel snowshed",
    ]


def test_with_purge_nothing_stays() -> None:
    steps = said(clear("default", LINUX, state=STATE, config=None, others=(), purge=True, user="snowshed"))
    assert steps[0] == "remove /var/lib/snowshed/default"
    assert not [step for step in steps if "chown" in step or "default.toml" in step]


def test_what_other_builders_need_stays() -> None:
    host = replace(LINUX, has_account=True)
    steps = said(clear("a", host, state=STATE, config=CONFIG, others=("b",), purge=True, user="snowshed"))
    assert steps == ["remove /etc/snowshed/default.toml", "remove /var/lib/snowshed/default"]


def test_steps_do_what_they_say(tmp_path: Path) -> None:
    told: list[str] = []
    file, kept = tmp_path / "a" / "file", tmp_path / "kept"
    kept.write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    carry_out(
        [
            Folder(tmp_path / "d", 0o711),
            Write(file, b"one", 0o640),
            Write(kept, b"yours", keep=True),
            Remove(tmp_path / "full", if_empty=True),
            Remove(tmp_path / "none"),
            Run(("false",), may_fail=True),
            Run(("touch", str(tmp_path / "ran"))),
        ],
        told.append,
    )
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o711
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"one", 0o640)
    assert kept.read_text() == "mine"
    assert (tmp_path / "full" / "x").exists()
    assert (tmp_path / "ran").exists()
    assert told[0] == f"directory {tmp_path}/d (0711)"
    carry_out([Remove(tmp_path / "full")], told.append)
    assert not (tmp_path / "full").exists()


def test_the_first_step_that_fails_is_the_last(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="false failed"):
        carry_out([Run(("false",)), Write(tmp_path / "after", b"")], lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"file {tmp_path}/file/x: "):
        carry_out([Write(tmp_path / "file" / "x", b"")], lambda _: None)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="/no/systemctl is not installed"):
        carry_out([Run(("/no/systemctl",))], lambda _: None)
