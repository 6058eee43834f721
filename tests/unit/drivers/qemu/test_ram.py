"""Memory that is shared with daemons: into a file and back, holes kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.drivers.qemu.ram import SharedRam
from snowshed.errors import GuestError
from snowshed.sparse import extents
from snowshed.units import GIB, MIB

PAGE = 4096


@pytest.fixture
def ram() -> Iterator[SharedRam]:
    memory = SharedRam(16 * MIB)
    yield memory
    memory.close()


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def save(memory: SharedRam, path: Path, stream: bytes = b"QEMU's part") -> None:
    path.write_bytes(stream)
    file = opened(path)
    memory.save(file, Event())
    os.close(file)


def load(path: Path, size: int) -> SharedRam:
    memory, file = SharedRam(size), opened(path)
    try:
        memory.load(file, Event())
    except BaseException:
        memory.close()
        raise
    finally:
        os.close(file)
    return memory


@given(pages=st.dictionaries(st.integers(0, 255), st.binary(min_size=1, max_size=50), max_size=12), stream=st.binary())
def test_what_was_written_comes_back_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, pages: dict[int, bytes], stream: bytes
) -> None:
    path = tmp_path_factory.mktemp("ram") / "memory"
    memory = SharedRam(MIB)
    for page, data in pages.items():
        os.pwrite(memory.descriptor, data, page * PAGE)
    save(memory, path, stream)
    restored = load(path, MIB)
    assert os.pread(restored.descriptor, MIB, 0) == os.pread(memory.descriptor, MIB, 0)
    assert path.read_bytes().startswith(stream)
    assert restored.size == memory.size
    memory.close()
    restored.close()


def test_a_large_memory_that_is_hardly_used_stays_small_everywhere(tmp_path: Path) -> None:
    memory = SharedRam(64 * GIB)
    os.pwrite(memory.descriptor, b"a", 0)
    os.pwrite(memory.descriptor, b"z", 64 * GIB - 1)
    save(memory, tmp_path / "memory")
    assert (tmp_path / "memory").stat().st_blocks * 512 < MIB
    assert os.fstat(memory.descriptor).st_blocks * 512 < MIB, "looking at holes must not fill them"
    restored = load(tmp_path / "memory", 64 * GIB)
    assert os.fstat(restored.descriptor).st_blocks * 512 < MIB
    assert os.pread(restored.descriptor, 1, 64 * GIB - 1) == b"z"
    memory.close()
    restored.close()


@pytest.mark.parametrize("cut", [1, 100, 15 * MIB])
def test_a_file_that_was_cut_is_refused(ram: SharedRam, tmp_path: Path, cut: int) -> None:
    os.pwrite(ram.descriptor, b"data", 5 * MIB)
    save(ram, tmp_path / "memory")
    os.truncate(tmp_path / "memory", (tmp_path / "memory").stat().st_size - cut)
    with pytest.raises(GuestError, match="not whole"):
        load(tmp_path / "memory", ram.size)


def test_the_memory_of_another_machine_is_refused(ram: SharedRam, tmp_path: Path) -> None:
    save(ram, tmp_path / "memory")
    with pytest.raises(GuestError, match="not that of this machine"):
        load(tmp_path / "memory", 2 * ram.size)
    (tmp_path / "memory").write_bytes(b"QEMU's part alone")
    with pytest.raises(GuestError):
        load(tmp_path / "memory", ram.size)


def test_copying_stops_when_nobody_wants_it_any_more(ram: SharedRam, tmp_path: Path) -> None:
    os.pwrite(ram.descriptor, bytes(range(256)) * 4096, 0)
    stop, file = Event(), opened(tmp_path / "memory")
    stop.set()
    ram.save(file, stop)
    assert list(extents(file, ram.size)) == []
    os.close(file)
