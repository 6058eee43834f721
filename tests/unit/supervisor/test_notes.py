from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.model.told import Told
from snowshed.supervisor.notes import Notes


def test_what_was_told_is_known_to_the_next_supervisor(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "guest.json", tmp_path / "disk.img")
    notes.hear("emulates aarch64-linux qemu-user")
    notes.used(1000, 17.0)
    assert Notes(tmp_path / "guest.json", tmp_path / "disk.img").told == Told(
        emulates={"aarch64-linux": "qemu-user"}, disk_used=1000, disk_used_at=17.0
    )


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"emulates": 3}', b"\xff"])
def test_a_damaged_file_is_no_knowledge(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "guest.json").write_bytes(damaged)
    assert Notes(tmp_path / "guest.json", tmp_path / "disk.img").told == Told()


def test_where_nothing_can_be_written_it_is_known_as_long_as_we_live(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "missing" / "guest.json", tmp_path / "disk.img")
    notes.hear("features kvm")
    assert notes.told.features == ("kvm",)
