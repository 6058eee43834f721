"""How far memory is on the disk, by the size of its file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from snowshed.supervisor import growth


async def test_what_is_there_is_told_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LOOK_EVERY", 0.0)
    file, told = tmp_path / "memory", []
    changed = asyncio.Event()

    def tell(part: float) -> None:
        told.append(part)
        changed.set()

    async with growth.growing(file, 1 << 20, tell):
        for size in (512 << 10, 3 << 20):
            file.write_bytes(bytes(size))
            changed.clear()
            async with asyncio.timeout(30):
                await changed.wait()
    assert told[0] == pytest.approx(0.5)
    assert told[-1] == 1.0
    count = len(told)
    await asyncio.sleep(0)
    assert len(told) == count


def test_holes_count_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    with file.open("wb") as stream:
        stream.truncate(1 << 20)
    assert growth.part(file, 1 << 20) == 0.0
