"""A home on a Mac that is none: the real command and supervisor, a macOS driver, and the fakes behind it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fakes.programs import ROOT, install, script

from command import Place
from snowshed.drivers.mac import Mac
from snowshed.model.machine import Arch

CODESIGN = 'case $1 in --force) cp "$5" "$6.entitlements" ;; -d) cat "$5.entitlements" ;; esac'

SLOWLY = 400.0
"""Seconds for a command that waits for a guest without hardware virtualisation."""


class MacPlace(Place):
    """`driver` is what builders run on."""

    def __init__(self, folder: Path, driver: str, mac: Mac) -> None:
        super().__init__(folder)
        programs = install(folder / "bin", "vfkit", "krunkit")
        script(
            programs / "sysctl", f'case $2 in kern.osversion) echo {mac.build} ;; *) echo "Apple M{mac.chip}" ;; esac'
        )
        script(programs / "codesign", CODESIGN)
        script(programs / "arp", "true")
        self.environment |= {
            "PATH": f"{programs}:{self.environment['PATH']}",
            "PYTHONPATH": f"{ROOT}/tests/fakes/vz/modules:{ROOT}/tests:{ROOT}/src",
            "FAKE_MACOS": ".".join(map(str, mac.version)),
            "FAKE_MACHINE": "arm64" if mac.arch is Arch.AARCH64 else "x86_64",
            "FAKE_CHIP": str(mac.chip),
            "SNOWSHED_DRIVER": driver,
            "SNOWSHED_SYSTEM": (mac.arch or Arch.AARCH64).nix_system,
        }

    def slowly(self, *words: str) -> str:
        """What `snowshed` prints; with a real guest behind it, which takes its time. It has to succeed."""
        done = subprocess.run(
            self.argv(*words),
            env=self.environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SLOWLY,
        )
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout
