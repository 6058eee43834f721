from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from snowshed import durable

WRITES_THROUGH = 51
"""macOS's F_FULLFSYNC."""


def test_the_old_content_stays_where_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    durable.write(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        durable.write(file, b"new")
    assert caught.value.filename == str(file)
    assert file.read_bytes() == b"old"
    monkeypatch.undo()
    durable.write(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_private_unless_said_otherwise(tmp_path: Path) -> None:
    durable.write(tmp_path / "private", b"")
    durable.write(tmp_path / "public", b"", mode=0o644)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("private", "public")] == [0o600, 0o644]


@pytest.mark.parametrize("able", [True, False], ids=["a drive", "a file system without such a thing"])
def test_a_mac_writes_through_the_cache_of_its_drive(
    able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, plain = [], []

    def control(_: int, command: int) -> None:
        asked.append(command)
        if not able:
            raise OSError(45, "Operation not supported")

    monkeypatch.setattr(durable, "_FULL_SYNC", WRITES_THROUGH)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", plain.append)
    durable.sync(tmp_path)
    assert asked == [WRITES_THROUGH]
    assert len(plain) == (0 if able else 1)
