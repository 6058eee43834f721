"""Showing a manual page to whoever asked for it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .. import process
from ..errors import UserError


def read(page: str) -> int:
    """Show `page` in the pager of man(1); print its source where nobody would see that, or there is no man(1)."""
    try:
        man = process.find("man", "")
    except UserError:
        man = ""
    if not man or not sys.stdout.isatty():
        print(page, end="")
        return 0
    with tempfile.TemporaryDirectory(prefix="snowshed-") as folder:
        file = Path(folder) / "snowshed.1"
        file.write_text(page)
        return process.status_of([man, file])
