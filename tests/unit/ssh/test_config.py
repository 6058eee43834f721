"""What OpenSSH makes of our configuration is asked of OpenSSH (`ssh -G` connects to nothing)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snowshed.errors import UserError
from snowshed.ssh.config import alias, ssh_config


def options_of(folder: Path, text: str, host: str) -> dict[str, str]:
    config = folder / "config"
    config.write_text(text)
    done = subprocess.run(["ssh", "-F", config, "-G", host], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_ssh_reaches_the_builder_by_its_alias_and_nothing_else_interferes(tmp_path: Path) -> None:
    folder = tmp_path / "100% mine"
    folder.mkdir()
    text = ssh_config("one", 31222, folder / "id_ed25519", folder / "known_hosts")
    options = options_of(folder, text, alias("one"))
    expected = {
        "hostname": "127.0.0.1",
        "port": "31222",
        "user": "builder",
        "hostkeyalias": "snowshed-one",
        "stricthostkeychecking": "true",
        "globalknownhostsfile": "/dev/null",
        "identitiesonly": "yes",
        "batchmode": "yes",
        "connecttimeout": "600",
        "controlmaster": "false",
        "forwardagent": "no",
    }
    assert {name: options[name] for name in expected} == expected
    assert options["identityfile"].replace("%%", "%") == str(folder / "id_ed25519")
    assert options.get("controlpath", "none") == "none"


def test_other_hosts_are_left_alone(tmp_path: Path) -> None:
    text = ssh_config("one", 31222, tmp_path / "id", tmp_path / "known_hosts")
    assert options_of(tmp_path, text, "example.org")["hostname"] == "example.org"


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a${HOME}b"])
def test_a_path_that_ssh_cannot_write_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no way to write that path"):
        ssh_config("one", 1, Path("/") / name / "id", Path("/known_hosts"))
