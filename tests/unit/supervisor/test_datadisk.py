from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from snowshed.errors import UserError
from snowshed.model.told import Told
from snowshed.supervisor.datadisk import check, file_system_of
from snowshed.supervisor.notes import Notes

OURS, THEIRS = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def ext4(file: Path, identity: str) -> Path:
    superblock = bytearray(1024)
    superblock[0x38:0x3A] = b"\x53\xef"
    superblock[0x68:0x78] = uuid.UUID(identity).bytes
    file.write_bytes(bytes(1024) + bytes(superblock) + bytes(4096))
    return file


def refused(disk: Path, expected: str = "") -> UserError:
    with pytest.raises(UserError) as error:
        check(disk, expected)
    return error.value


def test_a_disk_is_known_by_its_file_system(tmp_path: Path) -> None:
    assert file_system_of(ext4(tmp_path / "disk", OURS)) == OURS
    (tmp_path / "blank").write_bytes(bytes(4096))
    (tmp_path / "short").write_bytes(b"x")
    assert [file_system_of(tmp_path / name) for name in ("blank", "short", "absent")] == ["", "", ""]


def test_disks_that_a_guest_may_have(tmp_path: Path) -> None:
    check(tmp_path / "absent", OURS)
    check(ext4(tmp_path / "disk", OURS), OURS)
    check(tmp_path / "disk", "")
    (tmp_path / "blank").write_bytes(bytes(4096))
    check(tmp_path / "blank", OURS)


def test_the_disk_of_another_builder(tmp_path: Path) -> None:
    error = refused(ext4(tmp_path / "disk.img", THEIRS), OURS)
    assert f"is that of another builder: it holds the file system {THEIRS}" in error.message
    assert str(tmp_path / "guest.json") in error.hint


@pytest.mark.parametrize(("content", "name"), [(b"QFI\xfb" + bytes(600), "qcow2"), (b"KDMV" + bytes(600), "vmdk")])
def test_other_formats_are_named(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(content)
    assert f"is not a raw image: it is {name}." in refused(tmp_path / "disk.img").message


def test_what_is_no_file_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    assert "is not a file" in refused(tmp_path / "folder").message
    (tmp_path / "disk.img").write_bytes(b"")

    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", denied)
    assert "cannot be opened for writing: Permission denied" in refused(tmp_path / "disk.img").message


def test_whose_disk_it_is_is_noted_while_its_guest_runs(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "guest.json", ext4(tmp_path / "disk.img", OURS))
    notes.used(1, 1.0)
    assert Notes(tmp_path / "guest.json", tmp_path / "disk.img").told == Told(
        disk_used=1, disk_used_at=1.0, disk_id=OURS
    )
