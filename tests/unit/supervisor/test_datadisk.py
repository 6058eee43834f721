from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from pathlib import Path

import pytest

from disks import efi_disk
from snowshed.errors import UserError
from snowshed.model.machine import Arch
from snowshed.model.told import Told
from snowshed.supervisor.datadisk import Mark, beginning, check, file_system_of, mark_on
from snowshed.supervisor.notes import Notes

OURS, THEIRS = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
US, THEM = Mark("one", str(uuid.UUID(int=3))), Mark("two", str(uuid.UUID(int=4)))


def ext4(file: Path, identity: str, mark: Mark | None = None) -> Path:
    file.write_bytes(_ext4(identity, mark))
    return file


def _ext4(identity: str, mark: Mark | None = None) -> bytes:
    superblock = bytearray(1024)
    superblock[0x38:0x3A] = b"\x53\xef"
    superblock[0x68:0x78] = uuid.UUID(identity).bytes
    return f"{mark}\n".encode().ljust(1024, b"\0") + bytes(superblock) + bytes(4096)


def refused(disk: Path, expected: str = "") -> UserError:
    with pytest.raises(UserError) as error:
        check(disk, US, expected)
    return error.value


def test_a_disk_is_known_by_its_file_system(tmp_path: Path) -> None:
    assert file_system_of(ext4(tmp_path / "disk", OURS)) == OURS
    (tmp_path / "blank").write_bytes(bytes(4096))
    (tmp_path / "short").write_bytes(b"x")
    assert [file_system_of(tmp_path / name) for name in ("blank", "short", "absent")] == ["", "", ""]


def test_disks_that_a_guest_may_have(tmp_path: Path) -> None:
    check(tmp_path / "absent", US, OURS)
    check(ext4(tmp_path / "disk", OURS), US, OURS)
    check(tmp_path / "disk", US, "")
    (tmp_path / "blank").write_bytes(bytes(4096))
    check(tmp_path / "blank", US, OURS)


def test_the_disk_of_another_builder(tmp_path: Path) -> None:
    error = refused(ext4(tmp_path / "disk.img", THEIRS), OURS)
    assert f"is that of another builder: it holds the file system {THEIRS}" in error.message
    assert str(tmp_path / "guest.json") in error.hint


@pytest.mark.parametrize("expected", ["", THEIRS, OURS])
def test_a_disk_that_another_builder_has_marked(expected: str, tmp_path: Path) -> None:
    """Also before the first run, when it is not known yet which file system is ours, and when all else seems to fit."""
    error = refused(ext4(tmp_path / "disk.img", THEIRS, THEM), expected)
    assert "is that of another builder, which is named two." in error.message
    assert ("guest.json" in error.hint) == (expected == OURS)
    command = error.hint.split("`")[1]
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    check(tmp_path / "disk.img", US, THEIRS)
    assert file_system_of(tmp_path / "disk.img") == THEIRS


def test_a_builder_that_was_renamed_has_its_disk(tmp_path: Path) -> None:
    disk = ext4(tmp_path / "disk.img", OURS, Mark("before", US.machine))
    check(disk, US, OURS)
    check(disk, US, "")
    assert mark_on(disk) == Mark("before", US.machine)


def test_on_a_disk_with_partitions_that_for_data_is_looked_at(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64, more=_ext4(THEIRS, THEM))
    assert beginning(disk) > 0
    assert (file_system_of(disk), mark_on(disk)) == (THEIRS, THEM)
    command = refused(disk).hint.split("`")[1]
    before = disk.read_bytes()
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert disk.read_bytes() == before.replace(f"{THEM}\n".encode(), bytes(len(f"{THEM}\n")))
    check(disk, US, "")


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
