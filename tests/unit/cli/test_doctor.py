"""`snowshed doctor`: what it prints, what it ends with, and that it changes nothing."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from fakes.macs import record

from snowshed.cli import main as cli
from snowshed.doctor import look


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SNOWSHED_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def mac(tmp_path: Path) -> Path:
    file = tmp_path / "mac.json"
    look.write(record(), file)
    return file


def test_a_recording_is_judged(mac: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--replay", str(mac)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("host\n  ✓ configuration: aarch64-linux, 4 cores, 8 GiB, port 31222\n")
    assert "\nbuilder\n  ✓ supervisor: process 512" in out
    assert err.startswith("All is well: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_takes_no_recording(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "full").symlink_to("/dev/full")
    for file in (home / "full", Path("/dev/full")):
        assert cli.main(["doctor", "--only", "port", "--record", str(file)]) == 2
        err = capsys.readouterr().err
        assert f"cannot be written to {file}: No space left on device.\n  Choose another place after --record." in err
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nobody_may_write_nothing_is_looked_at(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.chmod(0o500)
    assert cli.main(["doctor", "--record", str(home / "file")]) == 2
    assert capsys.readouterr() == ("", f"snowshed: You may not write {home / 'file'}.\n  Choose another place.\n")


def test_quiet_says_only_what_is_wrong(mac: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ill = record(facts={"nix daemon": False, "port": {"ours": False, "free": False, "owner": "nginx listens there"}})
    look.write(ill, mac)
    assert cli.main(["doctor", "-q", "--replay", str(mac)]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "host",
        "  ✗ port: 31222 on 127.0.0.1 is taken: nginx listens there",
        "      → Choose another: `port = 31223`, or end that program.",
        "Nix",
        "  ! Nix's daemon: its socket is there, and nobody listens on it",
        "      → Start it: `sudo systemctl start nix-daemon`, or see launchctl.",
    ]
    assert "1 to be mended before anything is built, 1 worth attention" in err


def test_as_json(mac: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", "--replay", str(mac)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["worst"] == "note"
    assert {"subject", "id", "title", "level", "detail", "hint", "fix"} == set(found["findings"][0])


def test_a_file_that_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("{}")
    assert cli.main(["doctor", "--replay", str(tmp_path / "x")]) == 2
    assert "is no recording" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="what is empty here is the PATH of a Linux host")
def test_a_host_with_nothing_at_all(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No Nix, no QEMU, no OpenSSH: each is said, nothing is broken, and nothing is written."""
    monkeypatch.setenv("PATH", "/nonexistent")
    before = sorted(home.rglob("*"))
    assert cli.main(["doctor", "--json"]) == 2
    found = {f["id"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["openssh"]["level"] == "fatal"
    assert found["nix"]["detail"] == "no Nix is installed here"
    assert not [f for f in found.values() if "broken" in f["detail"]]
    assert sorted(home.rglob("*")) == before


def test_a_configuration_with_a_typo_is_a_finding(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / ".config" / "snowshed" / "default.toml"
    file.parent.mkdir(parents=True)
    file.write_text("cors = 4\n")
    assert cli.main(["doctor", "-q"]) == 2
    out = capsys.readouterr().out
    assert "✗ configuration: There is no option cors" in out
    assert "Did you mean `cores`?" in out


def test_a_fix_is_announced_and_done_when_agreed_to(
    mac: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The only thing that may be mended on this machine: a private key that others may read."""
    state = tmp_path / "state"
    key = state / "ssh" / "id_ed25519"
    key.parent.mkdir(parents=True)
    key.write_text("not a key")
    key.chmod(0o644)
    assert cli.main(["--state-dir", str(state), "doctor", "-q", "--only", "key", "--fix", "--yes"]) == 1
    err = capfd.readouterr().err
    assert f"  chmod 600 {key}\n" in err
    assert key.stat().st_mode & 0o777 == 0o600


def test_without_a_yes_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    key = tmp_path / "state" / "ssh" / "id_ed25519"
    key.parent.mkdir(parents=True)
    key.write_text("not a key")
    key.chmod(0o644)
    assert cli.main(["--state-dir", str(tmp_path / "state"), "doctor", "-q", "--only", "key", "--fix"]) == 1
    assert key.stat().st_mode & 0o777 == 0o644
