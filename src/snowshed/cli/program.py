"""How this snowshed is called, for whoever has to call it again: a service, or a command under sudo."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def program() -> tuple[str, ...]:
    """How this snowshed is called: by its name on the ``PATH`` where that is it (so that an update is followed), else
    by this interpreter."""
    called = shutil.which("snowshed")
    if called and Path(called).resolve() == Path(sys.argv[0]).resolve():
        return (called,)
    return (sys.executable, "-P", "-m", "snowshed.cli")


def callable_by_root(argv: Sequence[str]) -> list[str]:
    """`argv` with its first word ``snowshed`` spelled out: sudo has a PATH of its own, on which there may be none."""
    words = list(argv)
    if "snowshed" in words:
        place = words.index("snowshed")
        words[place : place + 1] = program()
    return words
