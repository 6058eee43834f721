"""What is put into a wheel beside the package. The library that builds it is not there: its base class stands in."""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

import pytest

from snowshed.cli.manual import page

ROOT = Path(__file__).parents[2]


def test_the_manual_page_is_installed_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["hatchling", "builders", "hooks", "plugin", "interface"]
    for number in range(len(names)):
        name = ".".join(names[: number + 1])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[".".join(names)].BuildHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "path", list(sys.path))
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))["ManualPage"]()
    hook.root, hook.directory = str(ROOT), str(tmp_path / "dist")
    build: dict[str, dict[str, str]] = {"shared_data": {}}
    hook.initialize("standard", build)
    ((file, place),) = build["shared_data"].items()
    assert place == "share/man/man1/snowshed.1"
    assert Path(file).read_text() == page()
