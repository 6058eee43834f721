"""Two builders, one of them on another host, and Nix's own scheduler over both."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import free_port, with_patience
from hosts import SEEN, SNOWSHED, Host, host, why_not
from snowshed.config import Host as Machine
from snowshed.images.store import ensure

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(shutil.which("nix-daemon") is None, reason="there is no nix-daemon here"),
    pytest.mark.timeout(1200),
]

DERIVATIONS = 8
BUILDS = """
builtins.genList (n: derivation {
  name = "part-${toString n}";
  system = "%s";
  builder = "/bin/sh";
  args = [ "-c" "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i > $out" ];
}) %d
"""
"""Independent, and long enough for Nix to find the first builder's slots taken."""

SMALL = ("--memory", "768", "--cores", "2", "--disk-size", "4G")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Host]:
    """A host with a multi-user Nix, and users ada, who builds, and bob, whose login is the other host's."""
    with host(tmp_path) as found:
        found.with_nix_users()
        found.add_user("ada")
        found.add_user("bob")
        found.ok("mkdir", "-p", "/etc/nix")
        found.path("/etc/nix/nix.conf").write_text("build-poll-interval = 1\nsubstitute = false\n")
        found.leave_running("nix-daemon", "--daemon", log=tmp_path / "nix-daemon.log")
        with_patience(lambda: found.path("/nix/var/nix/daemon-socket/socket").exists())
        yield found


def give_image(here: Host, user: str) -> None:
    arch = Machine.this().arch
    assert arch is not None
    target = f"/home/{user}/.cache/snowshed/images"
    here.ok("mkdir", "-p", target, user=user)
    here.ok("cp", "-r", ensure(arch).path, target)
    here.ok("chown", "-R", f"{user}:", target)


def other_host(here: Host, folder: Path) -> str:
    """bob's login, through an SSH server; root has its key, and knows it by the name ``studio``."""
    port = free_port()
    home = "/home/bob"
    here.ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/host_key", user="bob")
    here.ok("mkdir", "-m", "700", "-p", "/root/.ssh")
    here.ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519")
    here.ok("cp", "/root/.ssh/id_ed25519.pub", f"{home}/authorized_keys")
    here.ok("chown", "bob:", f"{home}/authorized_keys")
    key = here.ok("cat", f"{home}/host_key.pub")
    here.path("/root/.ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    here.path("/root/.ssh/config").write_text(f"Host studio\n  HostName 127.0.0.1\n  Port {port}\n  User bob\n")
    program = here.path(f"{home}/bin/snowshed")
    here.ok("mkdir", f"{home}/bin", user="bob")
    program.write_text(f'#!/bin/sh\nexec {" ".join(map(str, SNOWSHED))} "$@"\n')
    here.ok("chmod", "755", f"{home}/bin/snowshed")
    log = folder / "other-host.log"
    words = (f"{port}", f"{home}/host_key", f"{home}/authorized_keys", f"{home}/bin:/usr/bin:/bin")
    here.leave_running(*SNOWSHED[:-2], SEEN / "tests/other_host.py", *words, log=log, user="bob")
    with_patience(lambda: "listening" in log.read_text())
    return "studio"


def start(here: Host, name: str, user: str) -> None:
    done = here.snowshed("start", "-b", name, "--port", str(free_port()), *SMALL, user=user)
    assert done.returncode == 0, done.stderr


def test_builds_are_spread_over_builders_here_and_there(here: Host, tmp_path: Path) -> None:
    for user in ("ada", "bob"):
        give_image(here, user)
    other = other_host(here, tmp_path)
    system = f"{Machine.this().arch}-linux"
    here.path("/home/ada/parts.nix").write_text(BUILDS % (system, DERIVATIONS))
    try:
        start(here, "near", "ada")
        start(here, "far", "bob")
        for words in (
            [
                "-b",
                "near",
                "machines",
                "--install",
                "--trust-user",
                "--state-dir",
                "/home/ada/.local/share/snowshed/near",
            ],
            ["-b", "far", "machines", "--install", "--via", f"ssh://{other}"],
        ):
            done = here.snowshed(*words)
            assert done.returncode == 0, done.stderr
        lines = [line for line in here.path("/etc/nix/machines").read_text().splitlines() if line.startswith("ssh-ng")]
        assert [line.split()[0].split("@")[1] for line in lines] == ["snowshed-near", f"snowshed-far.{other}"]

        words = ["nix-build", "--no-out-link", "--max-jobs", "0", "/home/ada/parts.nix"]
        built = here.run("env", "NIX_REMOTE=daemon", *words, user="ada", patience=600)
        assert built.returncode == 0, built.stderr
        assert len(built.stdout.split()) == DERIVATIONS
        where = re.findall(r"building '\S+' on 'ssh-ng://builder@(\S+)'", built.stderr)
        assert len(where) == DERIVATIONS
        assert set(where) == {"snowshed-near", f"snowshed-far.{other}"}, where

        for words in (["-b", "near"], ["-b", "far", "--via", other]):
            done = here.snowshed(words[0], words[1], "machines", "--uninstall", *words[2:])
            assert done.returncode == 0, done.stderr
        assert not here.path("/etc/nix/machines").exists()
    finally:
        stopped = [here.snowshed("stop", "-b", name, user=user) for name, user in (("near", "ada"), ("far", "bob"))]
    assert [done.returncode for done in stopped] == [0, 0]
