"""Puts `fake_qemu` first on the ``PATH`` of whatever a test starts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -IS
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from fakes.fake_qemu import main
main(Path(__file__).absolute().parent)
"""


class FakeQemu:
    """A folder with ``qemu-system-x86_64`` and ``qemu-system-aarch64`` that boot nothing.

    `path` is the ``PATH`` to start things with; `fail` chooses what goes wrong from the next start on (the words are
    those of `fake_qemu`); `journal` tells what happened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for arch in ("x86_64", "aarch64"):
            program = folder / f"qemu-system-{arch}"
            tests = str(Path(__file__).absolute().parents[1])
            program.write_text(_PROGRAM.format(python=sys.executable, tests=tests))
            program.chmod(0o755)

    @property
    def path(self) -> str:
        return os.pathsep.join([str(self.folder), os.environ.get("PATH", os.defpath)])

    def fail(self, *faults: str) -> None:
        """What goes wrong from the next start on; nothing at all: everything works."""
        (self.folder / "faults").write_text(" ".join(faults))

    def journal(self, what: str = "") -> list[dict[str, Any]]:
        """What happened so far in every QEMU of this folder, in order; only entries of the kind `what` if given."""
        file = self.folder / "journal"
        lines = file.read_text().splitlines() if file.exists() else []
        return [entry for line in lines if (entry := json.loads(line)) and what in ("", entry["what"])]
