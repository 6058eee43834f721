"""Completion: what a real bash offers, what each word may be, and that asking stays cheap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snowshed.cli import candidates
from snowshed.cli import main as cli
from snowshed.cli.options import _SETTINGS
from snowshed.config_readers import WORDS
from snowshed.drivers.registry import DRIVERS

BASH = shutil.which("bash")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two builders and an image."""
    for name in ("arm", "default"):
        (tmp_path / f".local/share/snowshed/{name}/ssh").mkdir(parents=True)
    image = tmp_path / ".cache/snowshed/images/aarch64-0123456789abcdef"
    image.mkdir(parents=True)
    (image / "manifest.json").write_text("{}")
    (tmp_path / ".config/snowshed").mkdir(parents=True)
    (tmp_path / ".config/snowshed/spare.toml").write_text("")
    return tmp_path


def offered(home: Path, line: str) -> set[str]:
    """What bash offers when Tab is pressed at the end of `line`, through the function that we print."""
    script = """
        eval "$(snowshed completion bash)"
        COMP_WORDS=($LINE) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$LINE COMP_POINT=${#LINE}
        case $LINE in *' ') COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)) ;; esac
        compopt() { printf 'compopt %s\\n' "$2"; }
        function=$(complete -p snowshed | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function snowshed "${COMP_WORDS[$COMP_CWORD]}" ''
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    folder = home / "bin"
    if not folder.exists():
        folder.mkdir()
        program = folder / "snowshed"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m snowshed.cli "$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "HOME": str(home), "PATH": f"{folder}:{os.environ['PATH']}", "LINE": line}
    done = subprocess.run([str(BASH), "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("snowshed sus", {"suspend"}),
        ("snowshed st", {"start", "status", "stop"}),
        ("snowshed -b ", {"arm", "default", "spare"}),
        ("snowshed stop --builder a", {"arm"}),
        ("snowshed start --system ", {"aarch64-linux", "x86_64-linux"}),
        ("snowshed start --image aa", {"aarch64-0123456789abcdef"}),
        ("snowshed start --no-ro", {"--no-rosetta"}),
        ("snowshed image rm ", {"aarch64-0123456789abcdef"}),
        ("snowshed image show x", set()),
        ("snowshed start --driver v", {"vz", "vfkit"}),
        ("snowshed completion f", {"fish"}),
        ("snowshed events --kind s", {"state", "stage"}),
        ("snowshed service un", {"uninstall"}),
    ],
)
def test_bash_offers(home: Path, line: str, expected: set[str]) -> None:
    assert offered(home, line) == expected


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_files_are_left_to_the_shell(home: Path) -> None:
    assert offered(home, "snowshed start --kernel /bo") == {"compopt default"}
    assert offered(home, "snowshed --state-dir /v") == {"compopt dirnames"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_given_a_script_that_asks_us(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert f"_SNOWSHED_COMPLETE={shell}_complete" in capsys.readouterr().out.replace("env ", "")
    if (program := shutil.which(shell)) is not None:
        assert cli.main(["completion", shell]) == 0
        checked = subprocess.run([program, "-n"], input=capsys.readouterr().out, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_shell_that_somebody_uses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert cli.main(["completion"]) == 0
    assert "fish_complete" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert cli.main(["completion"]) == 2
    assert "Say bash, zsh or fish." in capsys.readouterr().err


def test_candidates_are_what_is_accepted() -> None:
    assert set(candidates.SYSTEMS) == set(WORDS["system"])
    assert WORDS["network"] == candidates.NETWORKS
    assert WORDS["accel"] == candidates.ACCELERATORS
    assert WORDS["idle.action"] == candidates.IDLE_ACTIONS
    assert set(candidates.DRIVERS) == {"auto", *DRIVERS}


def test_every_setting_that_is_a_path_or_a_word_completes() -> None:
    for names, about in _SETTINGS:
        if about.get("metavar") in ("PATH", "SYSTEM", "IMAGE", "KIND", "ACTION", "NAME"):
            assert "shell_complete" in about, names


def test_pressing_tab_on_a_verb_imports_no_verb(home: Path) -> None:
    code = (
        "import json, sys\nfrom snowshed.cli.main import main\nmain([])\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    asked = {"_SNOWSHED_COMPLETE": "bash_complete", "COMP_WORDS": "snowshed st", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked, "HOME": str(home)}, capture_output=True, text=True
    )
    assert {line.split(",")[1] for line in done.stdout.splitlines()} == {"start", "status", "stop"}
    loaded = set(json.loads(done.stderr))
    assert not {"snowshed.cli.start", "snowshed.cli.status", "msgspec", "asyncio", "rich", "tomllib"} & loaded
