"""Keeping large files out of Time Machine."""

from __future__ import annotations

from pathlib import Path

from snowshed.drivers.backup import NEVER_INDEX, exclusion, leave_out


def test_the_mark_is_on_the_file_and_needs_no_root() -> None:
    files = [Path("/s/disk.img"), Path("/s/suspend.state")]
    assert exclusion(files) == ["/usr/bin/tmutil", "addexclusion", *files]


async def test_elsewhere_nothing_is_done(tmp_path: Path) -> None:
    await leave_out([tmp_path / "disk.img"], tmp_path)
    assert not (tmp_path / NEVER_INDEX).exists()
