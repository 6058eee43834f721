"""What gets into root's files is what the plan allows, whatever a builder says of itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from snowshed.errors import UserError
from snowshed.nix.registration import Entry, Known, Plan, Said, main, register, remembering, vetted

KEY = "ssh-ed25519 " + "A" * 68
ENTRY = Entry(
    name="default",
    host="virby-vm",
    config="/etc/snowshed/default.json",
    state="/var/lib/snowshed/default",
    key="/var/lib/snowshed/default/ssh/id_ed25519",
    systems=("aarch64-linux", "x86_64-linux"),
    features=("benchmark", "big-parallel", "kvm"),
    mandatory=(),
    max_jobs=0,
    speed_factor=1,
    protocol="ssh-ng",
)
SAID = Said(systems=("aarch64-linux",), max_jobs=4, supported_features=("benchmark",), public_host_key=KEY)

FAKE = """#!/bin/sh
# Stands in for the command: answers from files beside it, and notes what it was asked.
here=$(dirname "$0")
echo "$@" >> "$here/asked"
case $1 in
start) cp "$here/later" "$here/machines" ;;
*) cat "$here/$1" 2>/dev/null || exit 3 ;;
esac
"""


def plan_for(folder: Path, **changes: object) -> Plan:
    command = folder / "fake/snowshed"
    command.parent.mkdir(exist_ok=True)
    command.write_text(FAKE)
    command.chmod(0o755)
    entry = msgspec.structs.replace(ENTRY, state=str(folder / "state"), **changes)
    return Plan(directory=str(folder), snowshed=str(command), as_user=("env",), builders=(entry,))


def say(folder: Path, said: Said, file: str = "machines") -> None:
    (folder / "fake").mkdir(exist_ok=True)
    (folder / "fake" / file).write_bytes(msgspec.json.encode(said))


def test_the_line_is_made_of_the_plan_within_which_the_builder_chooses() -> None:
    machine = vetted(ENTRY, msgspec.structs.replace(SAID, supported_features=("benchmark", "gccarch-x", "kvm")))
    assert machine.line.split(" ")[:7] == [
        "ssh-ng://builder@virby-vm",
        "aarch64-linux",
        "/var/lib/snowshed/default/ssh/id_ed25519",
        "4",
        "1",
        "benchmark,kvm",
        "-",
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"public_host_key": KEY + "\nssh-ng://root@elsewhere x86_64-linux"}, "its host key is none"),
        ({"public_host_key": "ssh-rsa AAAA"}, "its host key is none"),
        ({"systems": ("riscv64-linux",)}, "none of the systems"),
        ({"max_jobs": 0}, "asks for 0 jobs"),
        ({"max_jobs": 1 << 20}, "jobs"),
    ],
)
def test_what_a_builder_may_not_say_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(UserError, match=why):
        vetted(ENTRY, msgspec.structs.replace(SAID, **changes))


@pytest.mark.parametrize(
    ("running", "config", "features"),
    [
        (False, ENTRY.config, ("benchmark", "kvm")),
        (True, ENTRY.config, ("benchmark",)),
        (False, "/etc/snowshed/other.json", ("benchmark",)),
    ],
)
def test_a_builder_that_sleeps_keeps_the_features_it_had(running: bool, config: str, features: tuple[str, ...]) -> None:
    known = Known(ENTRY.config, msgspec.structs.replace(SAID, supported_features=("kvm",)))
    assert remembering(SAID, known, config=config, running=running).supported_features == features


def test_the_files_are_for_everybody_to_read_and_name_one_builder(tmp_path: Path) -> None:
    say(tmp_path, SAID)
    assert register(plan_for(tmp_path)) == []
    assert (tmp_path / "known_hosts").read_text() == f"virby-vm {KEY}\n"
    assert (tmp_path / "machines").read_text().startswith("ssh-ng://builder@virby-vm aarch64-linux ")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("machines", "known_hosts")} == {0o644}


def test_a_builder_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    say(tmp_path, SAID)
    say(tmp_path, msgspec.structs.replace(SAID, supported_features=("kvm",)), "later")
    (tmp_path / "fake/status").write_text('{"state": "starting"}')
    assert register(plan) == []
    assert " kvm " in (tmp_path / "machines").read_text()
    asked = [line.split()[0] for line in (tmp_path / "fake/asked").read_text().splitlines()]
    assert asked == ["machines", "status", "start", "machines"]


def test_a_builder_that_says_nothing_stays_known_as_it_was(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    say(tmp_path, SAID)
    register(plan)
    before = (tmp_path / "machines").read_text()
    (tmp_path / "fake/snowshed").write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    errors = register(plan)
    assert ["broken" in str(error) for error in errors] == [True]
    assert (tmp_path / "machines").read_text() == before


def test_the_key_is_shared_only_as_long_as_that_is_wanted(tmp_path: Path) -> None:
    say(tmp_path, SAID)
    (tmp_path / "state/ssh").mkdir(parents=True)
    (tmp_path / "state/ssh/id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    if os.geteuid() == 0:
        os.chown(tmp_path / "state", 4321, 4321)
    shared = tmp_path / "keys/default"
    assert register(plan_for(tmp_path, share_key=True)) == []
    assert shared.stat().st_mode & 0o777 == 0o644
    assert shared.stat().st_uid == (tmp_path / "state").stat().st_uid
    assert register(plan_for(tmp_path)) == []
    assert not shared.exists()


def test_something_that_is_no_key_is_not_shared(tmp_path: Path) -> None:
    say(tmp_path, SAID)
    (tmp_path / "state/ssh").mkdir(parents=True)
    (tmp_path / "state/ssh/id_ed25519").write_text("root:secret\n")
    assert ["user's key is none" in str(error) for error in register(plan_for(tmp_path, share_key=True))] == [True]
    assert not (tmp_path / "keys/default").exists()


def test_a_failure_shows_in_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(msgspec.to_builtins(plan_for(tmp_path))))
    assert main([str(file)]) == 1
    assert "snowshed: " in capsys.readouterr().err
