"""`snowshed service`: what it would do here, and what it refuses."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from snowshed import paths
from snowshed.cli import main as cli
from snowshed.cli import service
from snowshed.config import Host, load
from snowshed.errors import UserError
from snowshed.service.description import describe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is shown by Linux")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SNOWSHED_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caller is root, and the system's directories lie in a place of the test's own."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for module in ("snowshed.paths", "snowshed.cli.service", "snowshed.service.installation"):
        monkeypatch.setattr(f"{module}.SYSTEM_STATE", tmp_path / "var")
        monkeypatch.setattr(f"{module}.SYSTEM_CONFIG", tmp_path / "etc")
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.touch(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    return tmp_path


def test_a_users_own_units_are_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["service", "show", "--port", "31300", "--memory", "512"]) == 0
    out = capsys.readouterr().out
    assert f"# {home}/.config/systemd/user/snowshed-default.socket" in out
    assert "ListenStream=127.0.0.1:31300" in out
    assert "User=" not in out
    assert not (home / ".config").exists()


def test_an_installation_is_rehearsed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-b", "arm", "service", "install", "--dry-run", "--idle-timeout", "30"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"file {root}/etc/arm.toml" in said
    assert f"directory {root}/var/arm (0711, snowshed's)" in said
    assert not (root / "etc").exists()


def test_settings_stand_in_one_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc").mkdir()
    (root / "etc/default.toml").write_text("cores = 1\n")
    assert cli.main(["service", "install", "--dry-run", "--cores", "1"]) == 2
    assert "says already what the builder is like" in capsys.readouterr().err


def test_each_builder_gets_a_port_of_its_own(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc").mkdir()
    (root / "etc/one.toml").write_text("port = 31222\n")
    (root / "etc/of-a-module.json").write_text('{"port": 31223}')
    assert cli.main(["-b", "two", "service", "show"]) == 0
    assert "ListenStream=127.0.0.1:31224" in capsys.readouterr().out


def test_without_an_init_system(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert cli.main(["service", "install", "--dry-run"]) == 2
    assert "There is no systemd here" in capsys.readouterr().err


def test_a_system_builder_is_found_by_everybody(root: Path, home: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/arm.json").write_text("{}")
    found = paths.find_builder("arm")
    assert (found.state, found.config, found.is_system) == (root / "var/arm", root / "etc/arm.json", True)
    assert paths.system_builders() == ["arm"]
    own = paths.BuilderPaths("arm").state
    own.mkdir(parents=True)
    assert paths.find_builder("arm").state == own, "one's own goes first"
    assert paths.find_builder("arm", state=root / "x").state == root / "x"


def test_a_system_builder_in_the_working_directory_of_a_nix_module_is_found(root: Path, home: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/arm.json").write_text("{}")
    (root / "etc/arm.state").write_text(f"{root}/virby/arm\n")
    found = paths.find_builder("arm")
    assert (found.state, found.is_system) == (root / "virby/arm", True)
    assert paths.system_builders() == ["arm"]
    assert not paths.BuilderPaths("other", root / "virby/arm").is_system


def test_a_system_builder_is_not_started_by_hand(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc").mkdir()
    (root / "etc/default.toml").write_text("")
    assert cli.main(["start"]) == 2
    assert "is a service of the system" in capsys.readouterr().err


def test_an_image_that_the_account_cannot_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "default.toml"
    file.write_text('image = "/nonexistent/image"\n')
    asked = describe(
        "default", load(file, {}, Host.this(), {}), snowshed=(), state=tmp_path, config_file=file, user="ada"
    )
    with pytest.raises(UserError) as caught:
        service._prepare_image(asked, ["env"])
    assert caught.value.message.startswith("The account ada cannot use the image /nonexistent/image: ")
    assert "everybody may read" in caught.value.hint


def test_a_direct_boot_needs_no_image(tmp_path: Path) -> None:
    file = tmp_path / "default.toml"
    file.write_text('kernel = "/k"\ninitrd = "/i"\nsystem_path = "/s"\n')
    asked = describe("default", load(file, {}, Host.this(), {}), snowshed=(), state=tmp_path, config_file=file)
    service._prepare_image(asked, ["/nonexistent"])
