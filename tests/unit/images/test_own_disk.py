from __future__ import annotations

from pathlib import Path

import pytest

from disks import efi_disk
from snowshed.errors import UserError
from snowshed.images import copying, gpt, importing, own_disk, store
from snowshed.images.progress import silent
from snowshed.model.machine import Arch
from snowshed.paths import BuilderPaths
from snowshed.units import GIB, MIB


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuilderPaths:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    paths = BuilderPaths("one")
    paths.state.mkdir(parents=True)
    return paths


@pytest.fixture
def image(builder: BuilderPaths, tmp_path: Path) -> store.Image:
    return importing.import_disk(efi_disk(tmp_path / "disk.img", Arch.X86_64, more=b"root"))[0]


def test_a_builder_gets_a_grown_copy_that_is_its_own(builder: BuilderPaths, image: store.Image) -> None:
    own_disk.make(builder, image, GIB, silent)
    assert builder.disk.stat().st_size == GIB
    assert builder.disk.stat().st_mode & 0o777 == 0o600
    assert builder.disk.stat().st_blocks * 512 < 4 * MIB
    assert gpt.read(builder.disk.open("rb")).partitions[-1].last == GIB // 512 - 34
    assert own_disk.origin_of(builder) == image.name
    assert store.builders_using(image) == ["one"]
    assert sorted(path.name for path in builder.state.iterdir()) == ["disk.img", "disk.json"]


def test_what_was_built_on_it_stays(builder: BuilderPaths, image: store.Image) -> None:
    own_disk.make(builder, image, GIB, silent)
    with builder.disk.open("r+b") as disk:
        disk.seek(800 * MIB)
        disk.write(b"built")
    own_disk.make(builder, image, 2 * GIB, silent)
    with builder.disk.open("rb") as disk:
        disk.seek(800 * MIB)
        assert disk.read(5) == b"built"


def test_an_interrupted_copy_counts_for_nothing(
    builder: BuilderPaths, image: store.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: Path, target: Path, *_: object) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        own_disk.make(builder, image, GIB, silent)
    assert list(builder.state.iterdir()) == []


def test_a_disk_that_is_to_be_smaller_than_its_image(builder: BuilderPaths, image: store.Image) -> None:
    with pytest.raises(UserError, match="is to have 256 MiB"):
        own_disk.make(builder, image, 256 * MIB, silent)
    assert list(builder.state.iterdir()) == []


def test_a_data_disk_is_not_taken_for_a_copy(builder: BuilderPaths, image: store.Image) -> None:
    builder.disk.write_bytes(b"ext4")
    own_disk.check(builder, "")
    with pytest.raises(UserError, match="the data disk of a guest that is booted directly"):
        own_disk.make(builder, image, GIB, silent)
    assert builder.disk.read_bytes() == b"ext4"


def test_a_copy_is_taken_neither_for_a_data_disk_nor_for_a_copy_of_another(
    builder: BuilderPaths, image: store.Image
) -> None:
    own_disk.make(builder, image, GIB, silent)
    own_disk.check(builder, image.name)
    for other in ("", "x86_64-0000000000000000"):
        with pytest.raises(UserError, match=f"is a copy of the image {image.name}") as caught:
            own_disk.check(builder, other)
        assert f"--image {image.name}" in caught.value.hint


def test_what_was_said_of_a_disk_that_is_gone_does_not_count(builder: BuilderPaths, image: store.Image) -> None:
    own_disk.make(builder, image, GIB, silent)
    builder.disk.unlink()
    own_disk.check(builder, "")
    assert own_disk.origin_of(builder) == ""
