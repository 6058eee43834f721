from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from snowshed import durable
from snowshed.supervisor.alongside import checksum, synced
from snowshed.units import MIB


def sparse(file: Path, *parts: tuple[int, bytes], size: int = 4 * MIB + 17) -> Path:
    """A file that holds `parts`, each from its place on, and nothing else."""
    with file.open("wb") as stream:
        stream.truncate(size)
        for place, data in parts:
            stream.seek(place)
            stream.write(data)
    return file


ENDS = ((0, b"first"), (4 * MIB + 13, b"last"))


def test_a_sum_is_of_the_contents_and_not_of_how_they_lie_on_the_disk(tmp_path: Path) -> None:
    file = sparse(tmp_path / "sparse", *ENDS)
    full = tmp_path / "full"
    full.write_bytes(file.read_bytes())
    assert checksum(file) == checksum(full)


@pytest.mark.parametrize(
    "parts",
    [
        ENDS[:1],
        ENDS[1:],
        ((0, b"First"), ENDS[1]),
        ((MIB, b"first"), ENDS[1]),
        (*ENDS, (2 * MIB - 1, b"x")),
        ((0, b"first" + bytes(100) + b"x"), ENDS[1]),
    ],
)
def test_other_contents_have_another_sum(tmp_path: Path, parts: tuple[tuple[int, bytes], ...]) -> None:
    assert checksum(sparse(tmp_path / "one", *ENDS)) != checksum(sparse(tmp_path / "other", *parts))


def test_a_file_that_is_written_from_beginning_to_end_is_summed_as_it_comes(tmp_path: Path) -> None:
    file, written = tmp_path / "memory", Event()
    with ThreadPoolExecutor(1) as beside:
        summed = beside.submit(checksum, file, written)
        with file.open("wb", buffering=0) as growing:
            for part in (b"mem" * MIB, b"", b"ory", bytes(2 * MIB), b"end"):
                growing.write(part)
        written.set()
        assert summed.result(60) == checksum(file)


def test_a_file_that_is_written_in_any_order_is_summed_afterwards(tmp_path: Path) -> None:
    file, written = tmp_path / "memory", Event()
    with ThreadPoolExecutor(1) as beside:
        summed = beside.submit(lambda: checksum(file, written, in_order=False))
        file.write_bytes(bytes(2 * MIB) + b"ry")
        with file.open("r+b") as again:
            again.write(b"memo")
        assert not summed.done()
        written.set()
        assert summed.result(60) == checksum(file)


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
