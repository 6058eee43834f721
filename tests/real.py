"""The real `snowshed` command in a home of its own, with real guests, and the host's own Nix building on them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from command import Done, Place, free_port

SMALL = ("--memory", "1GiB", "--cores", "1", "--disk-size", "8G", "--network", "restricted")
"""No network: a build would ask a substituter first, and wait where the machine that tests has none either."""
BUILD_SECONDS = 300


class RealPlace(Place):
    """A home directory and the real QEMU. Images are those of whoever runs the tests, made where they are missing."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.nix_root = folder / "nix"
        self.more: tuple[str, ...] = ()
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.environment = {
            "HOME": str(self.home),
            "PATH": os.environ.get("PATH", os.defpath),
            "XDG_CACHE_HOME": cache,
            "COLUMNS": "200",
        }

    def run(self, *words: str, seconds: float = BUILD_SECONDS, **environment: str) -> Done:
        """Run `snowshed` to its end."""
        return self._run(self.argv(*words), seconds, environment)

    def start(self, *words: str) -> Done:
        """Start the default builder, small and on a port of its own."""
        return self.ok("start", "--port", str(free_port()), *SMALL, *words)

    def build(self, name: str, script: str, *, system: str, shell: Path | None = None) -> Done:
        """Have the host's Nix build a derivation on the default builder: `script` runs in ``/bin/sh``, and makes $out.

        The output is the path under which the result lies in the host's store. `shell`: a folder with a busybox that
        runs the script instead, and is an input of the build.
        """
        builder = '"/bin/sh"' if shell is None else f'"${{{shell}}}/busybox"'
        words = "" if shell is None else '"sh"'
        expression = _derivation(name, script, system, builder, words)
        machines = self.ok("machines").out.strip()
        argv = ["nix-build", "--expr", expression, "--max-jobs", "0", "--builders", machines, "--no-out-link"]
        nix = {
            "NIX_REMOTE": f"local?root={self.nix_root}",
            "NIX_SSHOPTS": f"-F {self.state}/ssh/config",
            "XDG_CACHE_HOME": str(self.home),
        }
        argv += ["--option", "build-poll-interval", "1", "--option", "substitute", "false"]
        return self._run(argv, BUILD_SECONDS, nix)

    def output_of(self, name: str, script: str, *, system: str) -> str:
        """The path that `build` would print."""
        expression = f"({_derivation(name, script, system)}).outPath"
        argv = ["nix-instantiate", "--eval", "--expr", expression]
        done = self._run(argv, BUILD_SECONDS, {"NIX_REMOTE": f"local?root={self.nix_root}"})
        assert done.status == 0, done.words
        return done.out.strip().strip('"')

    def content(self, path: str) -> str:
        """What a store path of the host's holds, which is a file."""
        return Path(f"{self.nix_root}{path.strip()}").read_text()

    def _run(self, argv: list[str], seconds: float, environment: dict[str, str]) -> Done:
        done = subprocess.run(
            argv,
            env={**self.environment, **environment},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=seconds,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def _derivation(name: str, script: str, system: str, builder: str = '"/bin/sh"', words: str = "") -> str:
    return f"""derivation {{
        name = "{name}"; system = "{system}"; builder = {builder}; args = [ {words} "-c" ''{script}'' ];
    }}"""
