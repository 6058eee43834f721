"""State directories: made private, recognised, and known to be held or not."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from snowshed.errors import UserError
from snowshed.paths import BuilderPaths
from snowshed.state import builders, held, is_builder, leave_runtime, prepare, prepare_runtime


def test_a_lock_is_held_exactly_while_somebody_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not held(lock)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    assert not held(lock)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert held(lock)
    os.close(descriptor)
    assert not held(lock)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/one cannot be made: a file is in the way"):
        prepare(BuilderPaths("one", tmp_path / "file" / "one"))


def test_a_socket_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/tmp` is everybody's: a directory that waits there under our name with open doors is a trap."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    paths = BuilderPaths("one", tmp_path / ("long" * 30))
    assert paths.runtime != paths.state
    paths.runtime.mkdir(mode=0o777)
    paths.runtime.chmod(0o777)
    try:
        with pytest.raises(UserError, match="not a private directory"):
            prepare_runtime(paths)
    finally:
        paths.runtime.rmdir()


def test_the_place_for_sockets_goes_when_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    paths = BuilderPaths("one", tmp_path / ("long" * 30))
    prepare_runtime(paths)
    assert paths.runtime.stat().st_mode & 0o777 == 0o700
    paths.control.touch()
    leave_runtime(paths)
    assert paths.control.exists()
    paths.control.unlink()
    leave_runtime(paths)
    assert not paths.runtime.exists()


def test_only_directories_that_hold_a_builder_count(tmp_path: Path) -> None:
    prepare(BuilderPaths("one", tmp_path / "one"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "disk.img").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert builders(tmp_path) == ["one"]
    assert builders(tmp_path / "missing") == []


def test_a_home_directory_is_never_a_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ssh").mkdir()
    assert not is_builder(tmp_path)
