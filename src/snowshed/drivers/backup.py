"""Keeping a builder's large files out of Time Machine and Spotlight.

A data disk changes with every build, and a backup of it while it is in use is of no use to anybody.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import SnowshedError
from ..process import run

NEVER_INDEX = ".metadata_never_index"
"""A file of this name tells Spotlight to leave the folder alone; hidden folders, where state lies by default, it
leaves alone anyway."""

TMUTIL = "/usr/bin/tmutil"


async def leave_out(files: Iterable[Path], state: Path | None) -> None:
    """Mark `files` and the folder `state`, on macOS. The mark stays with a file when it is written or moved.

    Whether it succeeds changes nothing for the VM: failures are passed over.
    """
    if sys.platform != "darwin":
        return
    with suppress(OSError):
        if state is not None:
            (state / NEVER_INDEX).touch()
    with suppress(SnowshedError, OSError):
        await asyncio.to_thread(run, exclusion(files))


def exclusion(files: Iterable[Path]) -> list[str | Path]:
    """The command that marks `files`: tmutil(8), by an attribute of the file, which needs no root."""
    return [TMUTIL, "addexclusion", *files]
