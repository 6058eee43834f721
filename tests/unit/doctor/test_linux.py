"""What the doctor says about a Linux host, on recordings, and of this machine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakes.macs import mac

from snowshed.doctor.check import Finding, Level, examine
from snowshed.doctor.table import TABLE

LINUX: dict[str, dict[str, Any]] = {
    "case": {"platform": "linux", "uid": 1000, "config": {"system": "x86_64-linux"}},
    "ran": {
        "uname -m": {"out": "x86_64\n"},
        "unshare --user --map-root-user true": {},
        "/usr/libexec/virtiofsd --version": {"out": "virtiofsd 1.13.0\n"},
        "qemu-system-x86_64 --version": {"out": "QEMU emulator version 7.2.22 (Debian 1:7.2)\n"},
        "ip -o -4 address": {"out": "2: eth0    inet 192.168.1.5/24 scope global eth0\n"},
    },
    "read": {
        "/proc/sys/fs/inotify/max_user_instances": "512\n",
        "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
        "/proc/cpuinfo": "flags : fpu vmx\n",
    },
    "facts": {"driver": {"name": "qemu", "accelerator": "kvm", "accelerator_reason": "proven"}, "kvm access": True},
    "files": {"/dev/kvm": {"kind": "device", "mode": 0o660, "uid": 0, "size": 0}},
}
TCG = {"driver": {"accelerator": "tcg", "accelerator_reason": "KVM does not work"}}


def findings(**illness: dict[str, Any]) -> dict[str, Finding]:
    parts = {part: {**LINUX[part], **illness.get(part, {})} for part in LINUX}
    return {finding.id: finding for finding in examine(TABLE, mac(**parts))}


def test_a_healthy_host() -> None:
    found = findings()
    assert found["accelerator"].detail == "kvm: proven"
    assert {found[name].level for name in ("userns", "virtiofsd", "inotify", "cgroup", "overlap", "qemu")} == {
        Level.FINE
    }


UP: dict[str, Any] = {
    "report": {
        "supervisorPid": 7,
        "version": "1",
        "state": "running",
        "running": True,
        "notices": ["The build of big ran out of memory at 14:02:51: its ld held 6 GiB."],
        "shortages": [{"text": "The build of big ran out of memory at 14:02:51: its ld held 6 GiB."}],
    }
}


@pytest.mark.parametrize(
    ("read", "level", "says"),
    [
        (
            {
                "/proc/7/cgroup": "1:memory:/old\n0::/system.slice/snowshed.service\n",
                "/sys/fs/cgroup/system.slice/snowshed.service/memory.max": "max\n",
                "/sys/fs/cgroup/system.slice/memory.max": "2147483648\n",
            },
            Level.FINE,
            "at most 2 GiB",
        ),
        (
            {"/proc/7/cgroup": "0::/user.slice\n", "/sys/fs/cgroup/user.slice/memory.max": "max\n"},
            Level.NOTE,
            "none but the guest's own size",
        ),
        ({"/proc/7/cgroup": "0::/\n"}, Level.NOTE, "none but"),
        ({"/proc/7/cgroup": "9:memory:/a\n"}, Level.NOTE, "none but"),
    ],
)
def test_what_limits_a_builder(read: dict[str, str], level: Level, says: str) -> None:
    found = findings(facts=UP, read=read)["limit"]
    assert found.level is level
    assert says in found.detail


def test_a_build_that_ran_out_of_memory_is_a_warning_and_does_not_hide_the_rest() -> None:
    found = findings(facts=UP, read={"/proc/7/cgroup": ""})
    assert found["state-of"].level is Level.FINE
    assert found["out-of-memory"].level is Level.WARNING
    assert "The build of big ran out of memory" in found["out-of-memory"].detail
    assert "nix.max_jobs" in found["out-of-memory"].hint
    assert (found["out-of-disk"].level, found["out-of-processes"].level) == (Level.FINE, Level.FINE)


@pytest.mark.parametrize(("of", "hint"), [("disk", "snowshed gc"), ("processes", "no mistake of the build's")])
def test_so_is_one_that_ran_out_of_something_else(of: str, hint: str) -> None:
    text = "The build of hog ran out."
    report = UP["report"] | {"shortages": [{"at": 1.0, "text": text, "build": "hog", "of": of}], "notices": [text]}
    found = findings(facts=UP | {"report": report}, read={"/proc/7/cgroup": ""})
    assert (found["state-of"].level, found["out-of-memory"].level) == (Level.FINE, Level.FINE)
    assert found[f"out-of-{of}"].level is Level.WARNING
    assert "The build of hog ran out" in found[f"out-of-{of}"].detail
    assert hint in found[f"out-of-{of}"].hint


@pytest.mark.parametrize(
    ("about", "level", "says"),
    [
        ({}, Level.FINE, "x86_64-1"),
        ({"older": "", "asked": "2026-11-24", "days": 3}, Level.FINE, "x86_64-1, as new as Debian on 2026-11-24"),
        ({"older": "", "asked": "2026-11-24", "days": 31}, Level.NOTE, "was last asked on 2026-11-24"),
        ({"older": "It is older: 3 are newer.", "asked": "2026-11-24", "days": 3}, Level.WARNING, "3 are newer"),
    ],
)
def test_the_age_of_the_image(about: dict[str, Any], level: Level, says: str) -> None:
    found = findings(facts={"image": {"name": "x86_64-1", "missing": [], **about}})["image"]
    assert found.level is level
    assert says in found.detail


@pytest.mark.parametrize(
    ("state", "image", "elsewhere"),
    [("/var/lib/snowshed/one", "", True), ("/var/lib/snowshed/one", "/nix/store/i", False), ("/home/a/one", "", False)],
)
def test_the_image_of_a_builder_of_the_system(state: str, image: str, elsewhere: bool) -> None:
    case = {"state": state, "config": {"system": "x86_64-linux", "image": image}}
    found = findings(case=case, facts={"image": {"name": "x86_64-1", "missing": []}})["image"]
    assert ("the account that runs the builders of the system" in found.detail) is elsewhere
    assert ("`sudo -H -u snowshed snowshed image list`" in found.hint) is elsewhere


ILLNESSES: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "no user namespaces on Ubuntu": (
        {
            "ran": {"unshare --user --map-root-user true": {"status": 1}},
            "read": {
                "/proc/sys/kernel/unprivileged_userns_clone": None,
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
            },
        },
        "userns",
        Level.WARNING,
        "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    "few inotify instances": (
        {"read": {"/proc/sys/fs/inotify/max_user_instances": "64\n"}},
        "inotify",
        Level.WARNING,
        "max_user_instances=512",
    ),
    "the guest's network is the host's": (
        {"ran": {"ip -o -4 address": {"out": "2: eth0    inet 10.0.2.15/24 scope global eth0\n"}}},
        "overlap",
        Level.WARNING,
        "renumber",
    ),
    "a processor without virtualisation": (
        {"facts": TCG, "read": {"/proc/cpuinfo": "flags : fpu sse\n"}},
        "accelerator",
        Level.NOTE,
        "firmware",
    ),
    "no kvm module": ({"facts": TCG, "files": {"/dev/kvm": None}}, "accelerator", Level.NOTE, "modprobe"),
    "kvm for others": ({"facts": {**TCG, "kvm access": False}}, "accelerator", Level.NOTE, "usermod -aG kvm"),
    "a state directory in memory": (
        {"facts": {"state directory": {"type": "tmpfs", "owner": 1000}}},
        "state",
        Level.WARNING,
        "XDG_DATA_HOME",
    ),
    "a state directory on a network": (
        {"facts": {"state directory": {"type": "nfs4", "owner": 1000}}},
        "state",
        Level.WARNING,
        "XDG_DATA_HOME",
    ),
    "hardly any space": ({"facts": {"free space": 100 << 20}}, "space", Level.FATAL, "snowshed gc"),
    "little space": ({"facts": {"free space": 5 << 30}}, "space", Level.WARNING, "snowshed gc"),
    "a guest as large as the host": (
        {"facts": {"memory": [9 << 30, 5 << 30]}},
        "memory",
        Level.WARNING,
        "Give it less",
    ),
    "few open files": ({"facts": {"open files": [128, 256]}}, "files", Level.WARNING, "ulimit"),
    "the port is somebody's": (
        {"facts": {"port": {"ours": False, "free": False, "owner": "nginx (process 7) listens there"}}},
        "port",
        Level.FATAL,
        "31223",
    ),
    "two builders want one port": (
        {"facts": {"builders": [["arm", 31222, 1 << 30], ["default", 31222, 1 << 30]]}},
        "builders",
        Level.WARNING,
        "its own `port`",
    ),
    "no OpenSSH": ({"ran": {"ssh -V": {"status": 127}}}, "openssh", Level.FATAL, "openssh-client"),
    "nothing to make an image with": (
        {"facts": {"image": {"name": "", "missing": ["mkfs.erofs"]}}},
        "image",
        Level.FATAL,
        "erofs-utils",
    ),
    "the driver cannot": (
        {"facts": {"driver": {"problems": [{"message": "There is no QEMU.", "hint": "Install it."}]}}},
        "driver",
        Level.FATAL,
        "Install it.",
    ),
}


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_is_named_with_what_to_do(name: str) -> None:
    illness, check, level, words = ILLNESSES[name]
    found = findings(**illness)[check]
    assert (found.level, words in found.hint) == (level, True), found


def _without_configuration() -> dict[str, Finding]:
    look = mac(**LINUX)
    look.case = msgspec.structs.replace(look.case, config=None, complaint="There is no option cors.", hint="See cores.")
    return {finding.id: finding for finding in examine(TABLE, look)}


def test_without_a_configuration_what_needs_one_is_left_out() -> None:
    found = _without_configuration()
    assert found["configuration"].level is Level.FATAL
    assert {found[name].level for name in ("driver", "accelerator", "image")} == {Level.SKIPPED}
    assert not [f for f in found.values() if "broken" in f.detail]
