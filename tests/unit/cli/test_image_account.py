"""Whoever looks at images, or upgrades them, is told of those that the builders of the system have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snowshed import paths
from snowshed.cli import main as cli
from snowshed.cli.image_account import note_others

NOTE = "The builders of the system (one) have images of their own: `sudo -H -u snowshed snowshed image list`.\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's builders are configured."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "etc")
    monkeypatch.setattr(paths, "SYSTEM_STATE", tmp_path / "var")
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def test_without_builders_of_the_system_nothing_is_said(system: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note_others("list")
    assert capsys.readouterr().err == ""


def test_only_those_are_meant_that_take_the_newest_image(system: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (system / "one.toml").write_text("cores = 1\n")
    (system / "two.json").write_text('{"image": "/nix/store/image"}')
    (system / "three.toml").write_text('kernel = "/boot/kernel"\n')
    note_others("list")
    assert capsys.readouterr().err == NOTE


def test_people_are_told_and_programs_are_not(system: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (system / "one.toml").write_text("cores = 1\n")
    assert cli.main(["image", "list"]) == 0
    assert capsys.readouterr().err.endswith(NOTE)
    assert cli.main(["image", "list", "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out), said.err) == ([], "")


def test_their_account_is_at_home(
    system: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (system / "one.toml").write_text("cores = 1\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(paths.SYSTEM_STATE / ".cache"))
    note_others("upgrade")
    assert capsys.readouterr().err == ""
