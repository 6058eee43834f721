from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from disks import efi_disk
from snowshed import paths
from snowshed.errors import UserError
from snowshed.images import importing, store
from snowshed.images.manifest import EfiImage
from snowshed.model.machine import Arch


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_a_disk_becomes_an_image_of_its_content(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "nixos.raw", Arch.AARCH64)
    image, fresh = importing.import_disk(disk)
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    assert fresh
    assert image.name == f"aarch64-{digest[:16]}"
    assert (image.manifest.boot, image.manifest.origin) == (EfiImage(), "nixos.raw")
    assert image.boot is None
    assert image.disk is not None
    assert image.disk.stat().st_mode & 0o222 == 0
    assert store.find(digest[:8]) == image
    assert store.newest(Arch.AARCH64, current=False, efi_disk=True) is None, "nobody is given it unasked"
    assert importing.import_disk(disk) == (image, False)


def test_a_disk_for_two_systems_is_imported_for_the_one_that_is_said(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64, Arch.AARCH64)
    with pytest.raises(UserError, match="boots on x86_64-linux and aarch64-linux"):
        importing.import_disk(disk)
    assert importing.import_disk(disk, Arch.AARCH64)[0].arch is Arch.AARCH64


def test_a_boot_loader_of_the_other_architecture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is for aarch64-linux, not for x86_64-linux"):
        importing.import_disk(efi_disk(tmp_path / "disk.img", Arch.AARCH64), Arch.X86_64)
    assert not paths.images_root().exists(), "nothing is written for what cannot be used"


def test_the_file_of_an_image_is_no_image(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "disk.img", Arch.X86_64)
    with pytest.raises(UserError, match="is a file, and no image yet") as caught:
        store.find(str(disk))
    assert f"snowshed image import {disk}" in caught.value.hint
