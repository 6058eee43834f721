"""A Nix with a daemon, on a plain Linux host: after `machines --install` an ordinary user builds in the guest."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import free_port, with_patience
from hosts import SNOWSHED, Host, host, why_not
from snowshed.config import Host as Machine
from snowshed.images.store import ensure

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(shutil.which("nix-daemon") is None, reason="there is no nix-daemon here"),
    pytest.mark.timeout(900),
]

BUILD = """
derivation {
  name = "where";
  system = "%s";
  builder = "/bin/sh";
  args = [ "-c" "uname -n > $out; id -u >> $out" ];
}
"""
SOCKET = "/nix/var/nix/daemon-socket/socket"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Host]:
    """A host with a multi-user Nix as Debian sets it up, and a user of no privileges."""
    with host(tmp_path) as found:
        found.with_nix_users()
        found.add_user("ada")
        found.ok("mkdir", "-p", "/etc/nix")
        found.path("/etc/nix/nix.conf").write_text("build-poll-interval = 1\nsubstitute = false\n")
        found.path("/etc/nix/machines").write_text("# another machine of ours\n")
        yield found


def start_daemon(here: Host, log: Path) -> None:
    here.leave_running("nix-daemon", "--daemon", log=log)
    with_patience(lambda: here.path(SOCKET).exists())


def give_image(here: Host, user: str) -> None:
    """The user's cache holds an image already, so that nothing has to be made here."""
    arch = Machine.this().arch
    assert arch is not None
    image = ensure(arch).path
    target = f"/home/{user}/.cache/snowshed/images"
    here.ok("mkdir", "-p", target, user=user)
    here.ok("cp", "-r", image, target)
    here.ok("chown", "-R", f"{user}:", target)


def build(here: Host, *more: str) -> subprocess.CompletedProcess[str]:
    """A derivation that is new each time, through the daemon, by an ordinary user."""
    words = ["nix-build", "--no-out-link", "--max-jobs", "0", "/home/ada/where.nix", *more]
    return here.run("env", "NIX_REMOTE=daemon", *words, user="ada")


def test_an_ordinary_user_builds_in_the_guest(here: Host, tmp_path: Path) -> None:
    give_image(here, "ada")
    system = f"{Machine.this().arch}-linux"
    here.path("/home/ada/where.nix").write_text(BUILD % system)
    start_daemon(here, tmp_path / "nix-daemon.log")
    port = str(free_port())
    started = here.snowshed(
        "start", "--port", port, "--memory", "1GiB", "--cores", "2", "--disk-size", "4G", user="ada"
    )
    assert started.returncode == 0, started.stderr
    state = "/home/ada/.local/share/snowshed/default"
    before = here.path("/etc/nix/machines").read_text()
    try:
        refused = here.snowshed("machines", "--install", "--state-dir", state)
        assert refused.returncode == 2
        assert "This builder belongs to ada" in refused.stderr
        assert "--trust-user" in refused.stderr
        assert here.path("/etc/nix/machines").read_text() == before

        not_root = here.snowshed("machines", "--install", user="ada")
        assert not_root.returncode == 2
        assert "Only root may change" in not_root.stderr

        assert build(here).returncode != 0, "nobody told Nix of the builder yet"

        # as `sudo snowshed machines` has it: root, and whose builder is meant is in the environment
        sudo = ["env", "SUDO_USER=ada", *SNOWSHED]
        said = here.run(*sudo, "machines", "--install", "--trust-user")
        assert said.returncode == 0, said.stderr
        assert "wrote /etc/nix/machines" in said.stderr
        assert here.path("/etc/nix/machines").read_text().startswith(before)

        done = build(here)
        assert done.returncode == 0, done.stderr
        name, uid = here.ok("cat", done.stdout.strip(), user="ada").split()
        assert name in ("localhost", "snowshed-default")
        assert int(uid) != 0
        assert "snowshed-default" in done.stderr

        checks = [word for check in ("known", "line", "pin", "ssh", "nix-daemon") for word in ("--only", check)]
        healthy = here.run(*sudo, "doctor", "--state-dir", state, *checks)
        assert healthy.returncode == 0, healthy.stdout

        away = here.run(*sudo, "machines", "--uninstall")
        assert away.returncode == 0, away.stderr
        assert here.path("/etc/nix/machines").read_text() == before
        assert not here.path("/etc/snowshed/ssh/default.conf").exists()
        assert not here.path("/root/.ssh/config").exists()
    finally:
        stopped = here.snowshed("stop", user="ada")
    assert stopped.returncode == 0, stopped.stderr
