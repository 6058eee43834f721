"""Nix for these tests: what is needed, where it comes from, and how an expression is evaluated."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"


def _instantiate(command: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run nix-instantiate; `command` may have words before it (a chroot, say)."""
    return subprocess.run([*shlex.split(command), *words], capture_output=True, text=True, timeout=280)


def _folder(variable: str) -> Path:
    """A source tree that the environment names; the test is skipped without."""
    given = os.environ.get(variable, "")
    if not given:
        pytest.skip(f"{variable} is not set: this test evaluates against that source tree")
    folder = Path(given)
    assert folder.is_dir(), f"{variable} names {given}, which is no directory"
    return folder


@pytest.fixture(scope="session")
def any_nix() -> Callable[[list[str]], str]:
    """Any nix-instantiate: give it words and get what it prints."""
    if not shutil.which("nix-instantiate"):
        pytest.skip("nix-instantiate is not installed (Debian: nix-bin)")

    def run(words: list[str]) -> str:
        done = _instantiate("nix-instantiate", words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Any]:
    """Evaluate ``tests/nix/<file>`` against today's nixpkgs, and return its value, or with `fails` what Nix says.

    ``SNOWSHED_NIXPKGS`` and, for macOS, ``SNOWSHED_NIX_DARWIN`` name the source trees; ``SNOWSHED_NIX_INSTANTIATE``
    is the command where that on the PATH is too old for them. `given` are further arguments of the file. Each attribute
    is evaluated once.
    """
    nixpkgs = _folder("SNOWSHED_NIXPKGS")
    command = os.environ.get("SNOWSHED_NIX_INSTANTIATE", "nix-instantiate")
    known: dict[tuple[str, str], Any] = {}

    def value(
        file: str,
        attribute: str = "",
        *,
        darwin: bool = False,
        fails: bool = False,
        given: dict[str, str] | None = None,
    ) -> Any:
        if (file, attribute) not in known:
            known[file, attribute] = _value(file, attribute, darwin, fails, given or {})
        return known[file, attribute]

    def _value(file: str, attribute: str, darwin: bool, fails: bool, given: dict[str, str]) -> Any:
        words = ["--eval", "--strict", "--json", "--readonly-mode", str(HERE / file)]
        words += ["--arg", "nixpkgs", str(nixpkgs)]
        words += ["-A", attribute] if attribute else []
        words += ["--arg", "nix-darwin", str(_folder("SNOWSHED_NIX_DARWIN"))] if darwin else []
        words += [word for name, expression in given.items() for word in ("--arg", name, expression)]
        done = _instantiate(command, words)
        if fails:
            assert done.returncode != 0, f"{file} was to fail, and evaluated"
            return done.stderr
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return value


def _plain(text: str) -> str:
    """`text` without what differs between two nixpkgs: hashes and versions in store paths."""
    text = re.sub(r"/nix/store/[a-z0-9]{32}-", "/nix/store/-", text)
    text = re.sub(r"(/nix/store/-[A-Za-z0-9+_.-]*?)-v?\d[A-Za-z0-9.+_]*(?=[-/\s\"<:']|$)", r"\1", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


@pytest.fixture(scope="session")
def matches() -> Callable[[str, str], None]:
    """Compare a text with ``tests/nix/expected/<name>``; SNOWSHED_ACCEPT=1 writes it instead."""

    def compare(name: str, text: str) -> None:
        file = EXPECTED / name
        if os.environ.get("SNOWSHED_ACCEPT"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_plain(text))
        assert _plain(text) == file.read_text(), f"{file} differs; SNOWSHED_ACCEPT=1 takes the new text"

    return compare
