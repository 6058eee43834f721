"""The report of a builder that has no supervisor, and the fast way to it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import msgspec
import pytest

from snowshed.cli.render import status
from snowshed.cli.report import from_files, quick_status
from snowshed.config import BuilderConfig, NixConfig
from snowshed.model.told import Told
from snowshed.model.wire import Report
from snowshed.paths import BuilderPaths
from snowshed.units import GIB


@pytest.fixture
def paths(tmp_path: Path) -> BuilderPaths:
    (tmp_path / "one").mkdir()
    return BuilderPaths("one", tmp_path / "one")


def test_it_is_a_report_like_the_supervisors(paths: BuilderPaths) -> None:
    """Field by field and in the same order: a program that reads one reads the other."""
    report = from_files(paths)
    decoded = msgspec.convert(report, Report)
    assert list(msgspec.to_builtins(decoded)) == list(report)
    assert not decoded.running
    assert decoded.state == "stopped"


def test_it_remembers_how_the_builder_was_started(paths: BuilderPaths) -> None:
    config = BuilderConfig(system="aarch64-linux", port=4000, cores=3, memory=2 * GIB)
    paths.last_config.write_bytes(msgspec.json.encode({"config": config, "image": "/image"}))
    paths.disk.write_bytes(b"")
    os.truncate(paths.disk, GIB)
    report = from_files(paths)
    assert (report["system"], report["port"], report["cores"]) == ("aarch64-linux", 4000, 3)
    assert report["memory"] == {"configured": 2 * GIB, "resident": None, "guestFree": None}
    assert report["disk"] == {"virtual": GIB, "allocated": 0, "used": None, "usedAt": None}


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"config": 3}', b"\xff"])
def test_a_damaged_memory_is_no_memory(damaged: bytes, paths: BuilderPaths) -> None:
    paths.last_config.write_bytes(damaged)
    paths.guest_notes.write_bytes(damaged)
    report = from_files(paths)
    assert (report["system"], report["systems"], report["emulators"]) == ("", [], {})


def test_it_remembers_what_the_guest_found_it_cannot_build_for(paths: BuilderPaths) -> None:
    config = BuilderConfig(system="aarch64-linux", rosetta=True, nix=NixConfig(emulate=("x86_64-linux",)))
    paths.last_config.write_bytes(msgspec.json.encode({"config": config, "image": "/image"}))
    report = from_files(paths)
    assert (report["systems"], report["systemsKnown"]) == (["aarch64-linux", "x86_64-linux"], False)
    paths.guest_notes.write_bytes(msgspec.json.encode(Told(emulates={"x86_64-linux": "Rosetta"})))
    report = from_files(paths)
    assert (report["systemsKnown"], report["emulators"]) == (True, {"x86_64-linux": "Rosetta"})
    paths.guest_notes.write_bytes(msgspec.json.encode(Told(lacks={"x86_64-linux": "the host lends no Rosetta"})))
    report = from_files(paths)
    assert (report["systems"], report["systemsKnown"]) == (["aarch64-linux"], True)
    assert report["notices"] == ["It does not build for x86_64-linux: the host lends no Rosetta."]


def test_how_full_the_disk_was_is_remembered_with_its_date(paths: BuilderPaths) -> None:
    paths.disk.write_bytes(b"")
    paths.guest_notes.write_bytes(msgspec.json.encode(Told(disk_used=5 << 20, disk_used_at=1000.0)))
    report = from_files(paths)
    assert (report["disk"]["used"], report["disk"]["usedAt"]) == (5 << 20, 1000.0)
    assert "5 MiB used in the guest 2 h 0 min ago" in status(report, now=1000.0 + 7200)
    assert "used in the guest\n" in status(report, now=1001.0)


def test_suspended_takes_both_halves(paths: BuilderPaths) -> None:
    paths.suspend_state.write_bytes(b"")
    assert from_files(paths)["state"] == "stopped"
    paths.suspend_manifest.write_bytes(b"{}")
    assert from_files(paths)["state"] == "suspended"


def test_locks_that_are_held_are_spoken_of(paths: BuilderPaths) -> None:
    assert from_files(paths)["notices"] == []
    with paths.vm_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "left over from a crash" in from_files(paths)["notices"][0]
    with paths.supervisor_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (notice,) = from_files(paths)["notices"]
        assert "just starting or ending, or its control socket is gone" in notice
        assert "`snowshed stop -b one` ends it" in notice


@pytest.mark.parametrize(
    ("states", "notices"),
    [
        (["starting", "running"], ["It was cut off while it was running"]),
        (["running", "suspending"], ["It was cut off while it was suspending"]),
        (["running", "stopping", "stopped"], []),
        (["suspended"], []),
        (["failed"], []),
        ([], []),
    ],
)
def test_a_builder_that_was_cut_off_says_so(states: list[str], notices: list[str], paths: BuilderPaths) -> None:
    lines = [json.dumps({"at": 1.0, "kind": "state", "text": "", "state": state}) for state in states]
    lines += ['{"at": 2.0, "kind": "message", "text": "A word."}', '{"at": 3.0, "kind": "mes']
    paths.events.write_text("\n".join(lines))
    assert [notice.split(",")[0] for notice in from_files(paths)["notices"]] == notices


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--json", "--state-dir", "{state}", "-b", "one"],
        ["-b", "one", "--state-dir", "{state}", "status", "--json"],
        ["--builder", "one", "status", "--state-dir", "{state}", "--json"],
    ],
)
def test_the_fast_way_knows_the_options_in_any_order(
    words: list[str], paths: BuilderPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quick_status([word.replace("{state}", str(paths.state)) for word in words]) == 3
    assert json.loads(capsys.readouterr().out)["stateDirectory"] == str(paths.state)


@pytest.mark.parametrize(
    "words",
    [[], ["status"], ["status", "--json", "--help"], ["status", "--json", "-b"], ["list", "--json"], ["ssh", "--json"]],
)
def test_everything_else_goes_the_ordinary_way(words: list[str]) -> None:
    assert quick_status(words) is None
