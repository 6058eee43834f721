"""Puts the fakes on the ``PATH`` under the names of the programs that they imitate."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def install(folder: Path, *names: str) -> Path:
    """Executables in `folder` that run ``fakes.<name>``; returns `folder`."""
    folder.mkdir(exist_ok=True)
    for name in names:
        script(folder / name, f'PYTHONPATH="{ROOT}/tests:{ROOT}/src" exec "{sys.executable}" -m fakes.{name} "$@"')
    return folder


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
