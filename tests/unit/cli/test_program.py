from __future__ import annotations

import sys
from pathlib import Path

import pytest

from snowshed.cli.program import callable_by_root, program


def test_it_is_called_by_its_name_where_that_is_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = tmp_path / "ours" / "snowshed", tmp_path / "other" / "snowshed"
    for file in (ours, other):
        file.parent.mkdir()
        file.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(ours), "doctor"])
    monkeypatch.setenv("PATH", str(ours.parent))
    assert program() == (str(ours),)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == (sys.executable, "-P", "-m", "snowshed.cli"), "another snowshed is not this one"


def test_under_sudo_only_our_own_word_is_spelled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = (sys.executable, "-P", "-m", "snowshed.cli")
    asked = ("sudo", "env", "HOME=/home/ada", "snowshed", "machines", "-b", "snowshed", "--install")
    assert callable_by_root(asked) == [
        "sudo",
        "env",
        "HOME=/home/ada",
        *ours,
        "machines",
        "-b",
        "snowshed",
        "--install",
    ]
    assert callable_by_root(("chmod", "600", "key")) == ["chmod", "600", "key"]
