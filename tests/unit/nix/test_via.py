"""Builders on other hosts: how they are named, asked and kept. The other host is a program in the place of ssh."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from snowshed.errors import GuestError, UserError
from snowshed.nix.via import command, fetch, name_of, parse

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43
SAID = {
    "uri": "ssh-ng://builder@snowshed-arm",
    "sshKey": "/home/ada/it's/id_ed25519",
    "systems": ["aarch64-linux"],
    "maxJobs": 4,
    "speedFactor": 2,
    "supportedFeatures": ["kvm"],
    "mandatoryFeatures": [],
    "publicHostKey": HOST_KEY,
    "port": 31223,
    "line": "more than is needed",
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nxyz\n-----END OPENSSH PRIVATE KEY-----\n"
SSH = """#!/bin/sh
# stands for ssh to another host: runs the last word there, which is here
for word in "$@"; do last=$word; done
echo "$*" >> "$OVER_THERE/asked"
case $last in
*" machines "*) cat "$OVER_THERE/said" ;;
cat*) eval "$last" ;;
*) exit 127 ;;
esac
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "it's"
    folder.mkdir()
    (folder / "id_ed25519").write_text(KEY)
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    (tmp_path / "said").write_text(json.dumps(SAID | {"sshKey": str(folder / "id_ed25519")}))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("OVER_THERE", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "jump", "host"),
    [
        ("ssh://ada@studio", "ada@studio", "studio"),
        ("studio", "studio", "studio"),
        ("ssh://ada@studio.example:2222/", "ada@studio.example:2222", "studio.example"),
    ],
)
def test_hosts(text: str, jump: str, host: str) -> None:
    assert parse(text) == (jump, host)


@pytest.mark.parametrize("text", ["", "ssh://", "-oProxyCommand=x", "a b", "ssh://x/y", "http://x", "x;y", "a@-x"])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(UserError, match="is no host to go through"):
        parse(text)


def test_a_port_is_an_option_of_ssh() -> None:
    assert command("ada@studio:2222", ["cat", "a b"]) == [
        "ssh", "-o", "BatchMode=yes", "-p", "2222", "ada@studio", "cat 'a b'",
    ]  # fmt: skip


def test_a_builder_over_there(there: Path) -> None:
    remote = fetch("ssh://ada@studio", "arm")
    assert name_of("arm", "studio") == remote.machine.builder == "arm.studio"
    assert remote.machine.uri == "ssh-ng://builder@snowshed-arm.studio"
    assert (remote.machine.max_jobs, remote.machine.speed_factor, remote.port) == (4, 2, 31223)
    config = remote.ssh_config.read_text()
    assert "Host snowshed-arm.studio\n" in config
    assert "  Port 31223\n" in config
    assert "  ProxyJump ada@studio\n" in config
    assert remote.machine.key.read_text() == KEY
    assert remote.machine.key.stat().st_mode & 0o777 == 0o600
    assert (remote.folder / "known_hosts").read_text() == f"snowshed-arm.studio {HOST_KEY}\n"
    assert (there / "asked").read_text().splitlines()[0].endswith("ada@studio snowshed machines --json -b arm")


def test_an_answer_that_is_none(there: Path) -> None:
    (there / "said").write_text("bash: snowshed: command not found")
    with pytest.raises(GuestError, match="does not say what a builder's description is"):
        fetch("studio", "arm")


def test_a_host_key_that_is_none(there: Path) -> None:
    (there / "said").write_text(json.dumps(SAID | {"publicHostKey": "ssh-rsa x"}))
    with pytest.raises(UserError, match="its host key"):
        fetch("studio", "arm")
    assert not (there / "data").exists()


def test_a_key_that_is_none(there: Path) -> None:
    (there / "said").write_text(json.dumps(SAID | {"sshKey": "/etc/passwd"}))
    with pytest.raises(GuestError, match="/etc/passwd on studio is no private key"):
        fetch("studio", "arm")


def test_a_host_that_refuses(there: Path) -> None:
    (there / "bin" / "ssh").write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    with pytest.raises(GuestError, match=r"Permission denied \(publickey\)"):
        fetch("studio", "arm")
