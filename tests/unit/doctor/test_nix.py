"""What the doctor says about the host's Nix, on recordings in which one thing is not as it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.macs import mac

from snowshed.doctor.check import Finding, Level, examine
from snowshed.doctor.table import TABLE

SHOW = "env NIX_USER_CONF_FILES= nix --extra-experimental-features nix-command config show --json"
OLD_SHOW = "env NIX_USER_CONF_FILES= nix --extra-experimental-features nix-command show-config --json"
MACHINES = "/etc/nix/machines"
KEY = "/Users/ada/.local/share/snowshed/default/ssh/id_ed25519"
LINE = mac().read(MACHINES) or ""


def findings(**illness: dict[str, Any]) -> dict[str, Finding]:
    return {finding.id: finding for finding in examine(TABLE, mac(**illness))}


def ran(argv: str, out: str = "", status: int = 0) -> dict[str, Any]:
    return {"ran": {argv: {"out": out, "status": status}}}


def settings(**changed: object) -> dict[str, Any]:
    values = json.loads(mac().run("env", "NIX_USER_CONF_FILES=", *SHOW.split()[2:]).out)
    values |= {name.replace("_", "-"): {"value": value} for name, value in changed.items()}
    return ran(SHOW, json.dumps(values))


def machines(text: str) -> dict[str, Any]:
    return {"read": {MACHINES: text}}


def ssh(**changed: str) -> dict[str, Any]:
    words = dict(line.split(" ", 1) for line in mac().run("ssh", "-G", "snowshed-default").out.split("\n") if line)
    return ran("ssh -G snowshed-default", "".join(f"{k} {v}\n" for k, v in (words | changed).items()))


NO_NIX = {name: {"status": 127} for name in (
    "nix --version", "/nix/var/nix/profiles/default/bin/nix --version", "/run/current-system/sw/bin/nix --version",
    "/usr/local/bin/nix --version",
)}  # fmt: skip

ILLNESSES: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "no Nix": ({"ran": NO_NIX}, "nix", Level.WARNING, "no Nix is installed"),
    "an old Nix": (ran("nix --version", "nix (Nix) 2.3.16"), "nix", Level.WARNING, "older than 2.4"),
    "a dead daemon": ({"facts": {"nix daemon": False}}, "daemon", Level.WARNING, "nobody listens"),
    "an unknown builder": (machines("ssh://else x86_64-linux\n"), "known", Level.WARNING, "no line for this builder"),
    "a builder known twice": (machines(LINE + LINE), "known", Level.WARNING, "2 lines name snowshed-default"),
    "Determinate Nix without the machines file": (
        {
            "ran": {
                "nix --version": {"out": "nix (Determinate Nix 3.8.4) 2.30.2"},
                SHOW: settings(builders="")["ran"][SHOW],
            },
            "read": {MACHINES: ""},
        },
        "known",
        Level.WARNING,
        "leaves /etc/nix/machines out",
    ),
    "one slot": (machines(LINE.replace(" 4 1 ", " 1 1 ")), "line", Level.WARNING, "it has one slot"),
    "ssh://": (machines(LINE.replace("ssh-ng://", "ssh://")), "line", Level.WARNING, "16437"),
    "another system": (
        machines(LINE.replace("aarch64-l", "x86_64-l")),
        "line",
        Level.WARNING,
        "it is for x86_64-linux",
    ),
    "another host key": (
        {"read": {f"{KEY[:-11]}/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAAother\n"}},
        "pin",
        Level.WARNING,
        "another host key",
    ),
    "nix.linux-builder is still there": (
        machines(LINE + "ssh-ng://builder@linux-builder aarch64-linux /etc/nix/builder_ed25519 1 1\n"),
        "rivals",
        Level.NOTE,
        "linux-builder builds for aarch64-linux too",
    ),
    "the host emulates": (settings(extra_platforms=["aarch64-linux"]), "by-itself", Level.NOTE, "in emulation"),
    "the host is of that system": (settings(system="aarch64-linux"), "by-itself", Level.NOTE, "is built here"),
    "Nix looks rarely": (settings(build_poll_interval=5), "polling", Level.NOTE, "every 5 s"),
    "an untrusted user": (settings(trusted_users=["root"]), "restricted", Level.NOTE, "is not a trusted user"),
    "a key that others may read": (
        {"files": {KEY: {"kind": "file", "mode": 0o644, "uid": 501, "size": 1}}},
        "key",
        Level.WARNING,
        "may be read by others (0644)",
    ),
    "somebody else's builder": (
        {"files": {KEY: {"kind": "file", "mode": 0o600, "uid": 502, "size": 1}}},
        "key",
        Level.WARNING,
        "belongs to user 502",
    ),
    "ssh does not know it": (ssh(hostname="snowshed-default"), "ssh", Level.WARNING, "ssh does not know"),
    "ssh is spoiled by what comes before": (
        ssh(controlmaster="auto", port="22"),
        "ssh",
        Level.WARNING,
        "controlmaster is 'auto', not 'false'; port is '22', not '31222'",
    ),
}


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_is_named_and_no_other(name: str) -> None:
    illness, check, level, words = ILLNESSES[name]
    found = findings(**illness)
    assert (found[check].level, words in found[check].detail) == (level, True), found[check]
    assert [f for f in found.values() if f.id != check and f.level in (Level.WARNING, Level.FATAL)] == []


def test_a_nix_before_the_new_command_is_asked_in_the_old_way() -> None:
    old = {SHOW: {"status": 1}, OLD_SHOW: {"out": json.dumps({"build-poll-interval": {"value": 7}})}}
    assert "every 7 s" in findings(ran=old)["polling"].detail


def test_what_the_doctor_would_do_is_one_command() -> None:
    fix = findings(read={MACHINES: ""})["known"].fix
    assert fix is not None
    (argv,) = fix.commands
    assert argv[:3] == ("sudo", "env", "HOME=/Users/ada")
    assert argv[-2:] == ("--install", "--trust-user")


def test_a_key_that_others_may_read_can_be_mended() -> None:
    fix = findings(files={KEY: {"kind": "file", "mode": 0o644, "uid": 501, "size": 1}})["key"].fix
    assert fix is not None
    assert fix.commands == (("chmod", "600", KEY),)
