from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from command import put_image
from disks import efi_disk
from snowshed import paths
from snowshed.errors import UserError
from snowshed.images import importing, manifest, store, upkeep
from snowshed.model.machine import Arch


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def image() -> store.Image:
    found = store.load(put_image(paths.images_root(), Arch.X86_64))
    assert found is not None
    return found


def start_from(image: store.Image, name: str = "one") -> None:
    state = paths.state_root() / name
    state.mkdir(parents=True)
    (state / "config.json").write_text(json.dumps({"image": str(image.path)}))


def test_a_whole_image(image: store.Image) -> None:
    assert upkeep.damage(image) == []


def test_each_damaged_file_is_named(image: store.Image) -> None:
    kernel = image.path / manifest.KERNEL
    kernel.write_bytes(kernel.read_bytes()[:-1] + b"x")
    os.truncate(image.path / manifest.ROOT, 100)
    (image.path / manifest.INITRD).unlink()
    assert upkeep.damage(image) == [
        "vmlinuz has another content than it was made with",
        "initrd cannot be read: No such file or directory",
        "root.erofs has 100 bytes instead of 512",
    ]


def test_an_image_that_nobody_uses(image: store.Image) -> None:
    assert upkeep.unused(store.images()) == [image]


def test_one_that_a_builder_was_last_started_from(image: store.Image) -> None:
    start_from(image)
    assert upkeep.unused(store.images()) == []


def test_the_builders_of_the_system_use_the_images_of_their_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SYSTEM_STATE", tmp_path / "system")
    (tmp_path / "system/one").mkdir(parents=True)
    for cache, users in (("cache", []), ("system/.cache", ["one"])):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        image = store.load(put_image(paths.images_root(), Arch.X86_64))
        assert image is not None
        (tmp_path / "system/one/config.json").write_text(json.dumps({"image": str(image.path)}))
        assert store.builders_using(image) == users


def test_one_that_somebody_runs_from_wherever_their_state_lies(image: store.Image) -> None:
    descriptor = store.hold(image.path)
    try:
        assert upkeep.unused(store.images()) == []
        with pytest.raises(UserError, match="A builder runs from the image"):
            store.remove(image)
        assert image.path.exists()
    finally:
        os.close(descriptor)
    assert upkeep.unused(store.images()) == [image]


def test_an_imported_image_goes_only_when_that_is_said(tmp_path: Path) -> None:
    imported, _ = importing.import_disk(efi_disk(tmp_path / "disk.img", Arch.X86_64))
    assert upkeep.unused(store.images()) == []
    assert upkeep.unused(store.images(), imported=True) == [imported]


def test_what_changes_between_two_images_is_told_by_package(image: store.Image) -> None:
    old = msgspec.structs.replace(image.manifest, packages=(manifest.PackageName("git", "1", ""),))
    (image.path / manifest.NAME).write_bytes(manifest.encode(old))
    before = store.load(image.path)
    assert [str(change) for change in upkeep._changes(before, {"git": "2", "nix": "1"})] == ["git 1 → 2", "nix 1 (new)"]
    assert upkeep._changes(None, {"git": "2"}) == ()
