"""The file behind standard error, which somebody else has opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snowshed.supervisor.own_log import keep_small, path_of


@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["from its beginning", "appending"])
def test_a_long_log_is_copied_away_and_goes_on_at_its_beginning(tmp_path: Path, flags: int) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    os.write(descriptor, b"old " * 30)
    keep_small(descriptor, 100)
    os.write(descriptor, b"new")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "log.1").read_bytes() == b"old " * 30
    assert (tmp_path / "log.1").stat().st_mode & 0o077 == 0
    os.write(descriptor, b"er " * 50)
    keep_small(descriptor, 100)
    assert (tmp_path / "log.1").read_bytes() == b"new" + b"er " * 50, "one old log is kept"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "log.1"]
    os.close(descriptor)


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.write(b"short")
        file.flush()
        keep_small(file.fileno(), 100)
        assert path_of(file.fileno()) == tmp_path / "log"
    assert (tmp_path / "log").read_bytes() == b"short"


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x" * 200)
    keep_small(writing, 100)
    assert os.read(reading, 300) == b"x" * 200
    os.close(reading)
    os.close(writing)


def test_a_log_that_cannot_be_copied_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / ".log.1.new").mkdir()
    with (tmp_path / "log").open("wb") as file:
        file.write(b"x" * 200)
        file.flush()
        keep_small(file.fileno(), 100)
    assert (tmp_path / "log").stat().st_size == 200
