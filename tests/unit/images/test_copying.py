from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from snowshed.images import copying
from snowshed.images.progress import silent
from snowshed.units import MIB


def sparse(file: Path) -> Path:
    """Ten MiB, of which some bytes at the beginning, in the middle and at the end are not zero."""
    with file.open("wb") as stream:
        stream.truncate(10 * MIB + 17)
        for place, data in ((0, b"first"), (5 * MIB - 2, b"middle"), (10 * MIB + 17 - 4, b"last")):
            stream.seek(place)
            stream.write(data)
    return file


def written_out(file: Path) -> Path:
    """The same content, with every zero on the disk."""
    file.write_bytes(sparse(file.with_suffix(".sparse")).read_bytes())
    return file


@pytest.mark.parametrize("make", [sparse, written_out])
@pytest.mark.parametrize("clone", [copying._clone, lambda source, target: False], ids=["shared", "copied"])
def test_a_copy_is_equal_and_as_sparse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, clone: object
) -> None:
    monkeypatch.setattr(copying, "_clone", clone)
    source, target = make(tmp_path / "source"), tmp_path / "target"  # type: ignore[operator]
    digest = copying.copy_and_digest(source, target, silent, "copy")
    assert target.read_bytes() == source.read_bytes()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    if make is sparse or clone is not copying._clone:
        assert target.stat().st_blocks * 512 <= MIB
    again = tmp_path / "again"
    copying.copy(source, again, silent, "copy")
    assert again.read_bytes() == source.read_bytes()


def test_nothing_but_a_hole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()
    os.truncate(source, 3 * MIB)
    digest = copying.copy_and_digest(source, tmp_path / "target", silent, "copy")
    assert digest == hashlib.sha256(bytes(3 * MIB)).hexdigest()
    assert (tmp_path / "target").stat().st_size == 3 * MIB


def test_how_far_it_is_only_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_clone", lambda source, target: False)
    seen: list[float | None] = []
    copying.copy(
        written_out(tmp_path / "source"), tmp_path / "target", lambda stage, share=None: seen.append(share), "copy"
    )
    assert seen == sorted(seen)  # type: ignore[type-var]
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 5
