"""Puts the manual page into what is installed. It is made from the commands, at every build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface):
    """Writes ``snowshed.1`` and has it installed as ``share/man/man1/snowshed.1``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before a wheel is put together, an editable one too."""
        sys.path.insert(0, str(Path(self.root) / "src"))
        from snowshed.cli.manual import page

        file = Path(self.directory) / "snowshed.1"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page())
        build_data["shared_data"][str(file)] = "share/man/man1/snowshed.1"
