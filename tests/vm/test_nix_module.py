"""What the NixOS module writes (tests/nix/expected/nixos), put to use: registration, the held socket, a real guest, and
the host's own Nix, which knows nothing but the `builders` setting and the ssh configuration."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command import free_port
from real import RealPlace
from snowshed.config import Host
from snowshed.nix.registration import main as register

ROOT = Path(__file__).parents[2]
EXPECTED = ROOT / "tests/nix/expected/nixos"
ACTIVATE = shutil.which("systemd-socket-activate")

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(600),
    pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed (Debian: systemd)"),
    pytest.mark.skipif(shutil.which("nix-build") is None, reason="nix-build is not installed (Debian: nix-bin)"),
]

BUILD = """derivation {
  name = "module";
  system = "%s";
  builder = "/bin/sh";
  args = [ "-c" "read name rest < /proc/sys/kernel/hostname; echo $name > $out" ];
}
"""


class ModuleHost:
    """A host as the module sets it up, in a folder: settings, plan, ssh configuration, nix.conf, listening socket."""

    def __init__(self, place: RealPlace) -> None:
        self.place = place
        self.folder = place.home.parent
        self.directory = self.folder / "snowshed"
        self.state = self.directory / "default"
        self.port = free_port()
        self.settings = self.folder / "default.json"
        self.plan = self.folder / "plan.json"
        self.state.mkdir(parents=True)
        self._write_settings()
        self._write_plan()
        self._write_ssh_config()
        self._write_nix_conf()

    def _write_settings(self) -> None:
        settings = json.loads((EXPECTED / "settings/default.json").read_text())
        del settings["image"]  # a store path, which is not here
        settings |= {"port": self.port, "memory": 1024, "cores": 2, "disk_size": "8G"}
        self.settings.write_text(json.dumps(settings))

    def _write_plan(self) -> None:
        command = self.folder / "command"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m snowshed.cli "$@"\n')
        command.chmod(0o755)
        plan: dict[str, Any] = json.loads((EXPECTED / "registration.json").read_text())
        (entry,) = (entry for entry in plan["builders"] if entry["name"] == "default")
        entry |= {"config": str(self.settings), "state": str(self.state), "key": str(self.state / "ssh/id_ed25519")}
        entry["systems"] = [f"{Host.this().arch}-linux"]
        plan |= {"directory": str(self.directory), "snowshed": str(command), "as_user": [], "builders": [entry]}
        self.plan.write_text(json.dumps(plan))

    def _write_ssh_config(self) -> None:
        text = (EXPECTED / "ssh_config").read_text()
        block = text[text.index("Host snowshed-default") :]
        block = block.replace("/var/lib/snowshed", str(self.directory)).replace("Port 31222", f"Port {self.port}")
        (self.folder / "ssh_config").write_text(block)

    def _write_nix_conf(self) -> None:
        expression = (
            f'(import {ROOT}/nix/modules/shared/nix-settings.nix {{ workingDirectory = "{self.directory}"; }}).builders'
        )
        words = ["nix-instantiate", "--eval", "--json", "--expr", expression]
        builders = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        (self.folder / "conf").mkdir()
        (self.folder / "conf/nix.conf").write_text(
            f"builders = {builders}\nbuild-poll-interval = 1\nsubstituters =\nmax-jobs = 0\nbuild-users-group =\n"
        )

    def listen(self, log: Path) -> subprocess.Popen[bytes]:
        """Hold the builder's socket and start it at the first connection, as systemd does."""
        assert ACTIVATE is not None
        words = [ACTIVATE, "-l", f"127.0.0.1:{self.port}", "--fdname=ssh", *("-E", "HOME"), *("-E", "XDG_CACHE_HOME")]
        command = ["run", "-b", "default", "--config", str(self.settings), "--state-dir", str(self.state)]
        with log.open("wb") as output:
            return subprocess.Popen(
                [*words, sys.executable, "-m", "snowshed.cli", *command],
                env=self.place.environment,
                stdout=output,
                stderr=output,
            )

    def register(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Make the builder known; the words of its line for Nix."""
        for name, value in self.place.environment.items():
            monkeypatch.setenv(name, value)
        assert register([str(self.plan)]) == 0
        return (self.directory / "machines").read_text().split()

    def build(self) -> subprocess.CompletedProcess[str]:
        (self.folder / "build.nix").write_text(BUILD % f"{Host.this().arch}-linux")
        words = ["nix-build", "--no-out-link", "--store", str(self.place.nix_root), str(self.folder / "build.nix")]
        environment = {
            **self.place.environment,
            "NIX_CONF_DIR": str(self.folder / "conf"),
            "NIX_SSHOPTS": f"-F {self.folder}/ssh_config",
        }
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=400)


@pytest.fixture
def host() -> Iterator[ModuleHost]:
    with RealPlace.made(stops=True) as place:
        yield ModuleHost(place)


def test_nix_builds_on_a_builder_that_only_the_module_told_it_of(
    host: ModuleHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = host.register(monkeypatch)
    assert line[0] == "ssh-ng://builder@snowshed-default"
    assert not (host.state / "vm.pid").exists(), "registering boots nothing"

    service = host.listen(tmp_path / "service.log")
    try:
        done = host.build()
        assert done.returncode == 0, f"{done.stderr}\n{(tmp_path / 'service.log').read_text()}"
        output = Path(f"{host.place.nix_root}{done.stdout.strip()}")
        assert output.read_text().strip() in ("localhost", "snowshed-default")
        assert "on 'ssh-ng://builder@snowshed-default'" in done.stderr
        assert host.register(monkeypatch)[:5] == line[:5]
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)
    assert not (host.state / "vm.pid").exists()
