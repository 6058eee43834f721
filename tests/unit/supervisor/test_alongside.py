from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from snowshed import durable
from snowshed.supervisor.alongside import checksum, synced


def test_a_file_that_is_written_from_beginning_to_end_is_summed_as_it_comes(tmp_path: Path) -> None:
    file, written = tmp_path / "memory", Event()
    with ThreadPoolExecutor(1) as beside:
        summed = beside.submit(checksum, file, written)
        with file.open("wb", buffering=0) as growing:
            for part in (b"mem", b"", b"ory" * 1_000_000):
                growing.write(part)
        written.set()
        assert summed.result(60) == zlib.crc32(file.read_bytes()) == checksum(file)


def test_a_file_that_is_written_in_any_order_is_summed_afterwards(tmp_path: Path) -> None:
    file, written = tmp_path / "memory", Event()
    with ThreadPoolExecutor(1) as beside:
        summed = beside.submit(lambda: checksum(file, written, in_order=False))
        file.write_bytes(b"______ry")
        file.write_bytes(b"memory")
        assert not summed.done()
        written.set()
        assert summed.result(60) == zlib.crc32(b"memory")


def test_a_file_that_never_came_is_an_error(tmp_path: Path) -> None:
    written = Event()
    written.set()
    for work in (checksum, synced):
        with pytest.raises(FileNotFoundError):
            work(tmp_path / "memory", written)


def test_the_disk_begins_with_a_file_before_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    begun = Event()

    def begin(_: Path) -> None:
        steps.append("begin")
        begun.set()

    file, written = tmp_path / "memory", Event()
    monkeypatch.setattr(durable, "begin", begin)
    monkeypatch.setattr(durable, "sync", lambda _: steps.append("sync"))
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(synced, file, written)
        file.write_bytes(b"mem")
        assert begun.wait(60)
        assert "sync" not in steps
        written.set()
        done.result(60)
    assert steps[-1] == "sync"
