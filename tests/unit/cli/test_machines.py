"""`snowshed machines`: what it refuses, and a rehearsal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.cli import root_nix
from snowshed.errors import UserError
from snowshed.nix.install import Layout
from snowshed.paths import BuilderPaths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SNOWSHED_STATE_DIR", "SUDO_USER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests is no root here."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.parametrize("word", ["--install", "--uninstall"])
def test_only_root_changes_what_the_daemon_knows(
    word: str, home: Path, ordinary: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["machines", word]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "snowshed: Only root may change what Nix's daemon knows.",
        f"  Use `sudo snowshed machines {word}`; --dry-run shows what it would do.",
    ]


def test_both_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["machines", "--install", "--uninstall"]) == 2
    assert "--install and --uninstall were both given" in capsys.readouterr().err


def test_a_name_that_nothing_goes_by_is_no_builder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".local/share/snowshed/arm/ssh").mkdir(parents=True)
    assert cli.main(["machines", "-b", "amr"]) == 3
    assert capsys.readouterr() == ("", "snowshed: There is no builder called amr.\n  Did you mean arm?\n")
    assert [entry.name for entry in (home / ".local/share/snowshed").iterdir()] == ["arm"], "no keys were made for it"


def test_a_builder_that_is_only_described_yet_has_a_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "elsewhere.toml").touch()
    assert cli.main(["machines", "-b", "new", "--config", str(home / "elsewhere.toml")]) == 0
    assert capsys.readouterr().out.startswith("ssh-ng://builder@snowshed-new ")


def test_a_host_without_nix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("snowshed.nix.installed.PROGRAMS", ())
    assert cli.main(["machines", "--uninstall", "--dry-run"]) == 2
    assert "There is no Nix on this host" in capsys.readouterr().err


def test_a_rehearsal_shows_what_would_be_and_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    etc = home / "host" / "etc"
    layout = Layout(builders=f"@{etc}/nix/machines", etc=etc, root_home=home / "host" / "root")
    monkeypatch.setattr(root_nix, "layout", lambda: layout)
    assert cli.main(["machines", "--install", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"+++ {etc}/nix/machines" in out
    assert "+ssh-ng://builder@snowshed-default " in out
    assert "+Host snowshed-default" in out
    assert not (home / "host").exists()


def test_a_file_that_cannot_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is in the way of a directory: one sentence, nothing half-made."""
    (home / "etc").write_text("")
    layout = Layout(builders=f"@{home}/etc/nix/machines", etc=home / "etc", root_home=home / "root")
    monkeypatch.setattr(root_nix, "layout", lambda: layout)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(root_nix, "require_trust", lambda paths, trusted: None)
    assert cli.main(["machines", "--install"]) == 2
    assert str(home / "etc") in capsys.readouterr().err


def test_whose_builder_sudo_means(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    caller = pwd.struct_passwd(("ada", "x", 1000, 1000, "", str(home / "ada"), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"ada": caller}.__getitem__)
    monkeypatch.setenv("SUDO_USER", "ada")
    paths = BuilderPaths("default")
    assert root_nix.meant(paths) is paths, "ada has no builder either"
    hers = home / "ada/.local/share/snowshed/default"
    hers.mkdir(parents=True)
    found = root_nix.meant(paths)
    assert (found.state, found.config) == (hers, home / "ada/.config/snowshed/default.toml")
    paths.state.mkdir(parents=True)
    assert root_nix.meant(paths) is paths, "root's own goes first"
    monkeypatch.setenv("SUDO_USER", "bob")
    assert root_nix.meant(BuilderPaths("arm")).name == "arm"


def test_another_users_builder_is_not_trusted_unless_it_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = BuilderPaths("default", home / "state")
    root_nix.require_trust(paths, trusted=False)  # there is none yet
    paths.state.mkdir()
    monkeypatch.setattr(root_nix, "owner_of", lambda _: 4242)
    with pytest.raises(UserError, match="belongs to user 4242"):
        root_nix.require_trust(paths, trusted=False)
    root_nix.require_trust(paths, trusted=True)


def test_a_key_behind_a_link_is_given_to_nobody(home: Path) -> None:
    paths = BuilderPaths("default", home / "state")
    paths.ssh.mkdir(parents=True)
    secret = home / "secret"
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    paths.user_key.symlink_to(secret)
    with pytest.raises(UserError, match="cannot be read"):
        root_nix.user_key(paths)
    paths.user_key.unlink()
    paths.user_key.write_text("root:x:0:0")
    with pytest.raises(UserError, match="is not the key"):
        root_nix.user_key(paths)
    paths.user_key.write_text(secret.read_text())
    assert root_nix.user_key(paths) == secret.read_text()
