from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec
import pytest

from command import put_image
from snowshed import paths
from snowshed.errors import UserError
from snowshed.images import manifest, packed, store
from snowshed.model.machine import Arch
from snowshed.units import MIB


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def image(tmp_path: Path) -> store.Image:
    """An image of another machine's."""
    found = store.load(put_image(tmp_path / "elsewhere", Arch.AARCH64))
    assert found is not None
    return found


def archive(file: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return file


def members(image: store.Image, **changes: object) -> list[tuple[str, bytes]]:
    about = msgspec.structs.replace(image.manifest, **changes)
    files = [(name, (image.path / name).read_bytes()) for name in image.manifest.files]
    return [(manifest.NAME, manifest.encode(about)), *files]


def test_an_image_arrives_as_it_went(image: store.Image, tmp_path: Path) -> None:
    file = tmp_path / "image.tar"
    packed.pack(image, file)
    assert packed.is_packed(file)
    found, fresh = packed.unpack(file)
    assert fresh
    assert found.path == paths.images_root() / image.name
    assert store.find(image.name).manifest == image.manifest
    for name in image.manifest.files:
        assert (found.path / name).read_bytes() == (image.path / name).read_bytes()
    assert packed.unpack(file) == (found, False)


def test_zeroes_arrive_as_holes(image: store.Image, tmp_path: Path) -> None:
    root = image.path / manifest.ROOT
    root.write_bytes(b"begin" + bytes(4 * MIB) + b"end")
    files = {**image.manifest.files, manifest.ROOT: manifest.describe(root)}
    found, _ = packed.unpack(archive(tmp_path / "file", *members(image, files=files)))
    assert (found.path / manifest.ROOT).read_bytes() == root.read_bytes()
    assert (found.path / manifest.ROOT).stat().st_blocks * 512 <= MIB


def test_equal_images_make_equal_files(image: store.Image, tmp_path: Path) -> None:
    packed.pack(image, tmp_path / "one")
    packed.pack(image, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_is_written_over(image: store.Image, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        packed.pack(image, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_image_that_lacks_a_file_is_not_written(image: store.Image, tmp_path: Path) -> None:
    (image.path / manifest.INITRD).unlink()
    with pytest.raises(UserError, match=f"lacks {manifest.INITRD}"):
        packed.pack(image, tmp_path / "image.tar")
    assert not (tmp_path / "image.tar").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 4096])
def test_what_is_no_archive_of_an_image(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert not packed.is_packed(file)
    assert not packed.is_packed(archive(tmp_path / "other", ("README", b"hello")))


def test_a_file_that_is_damaged_or_missing(image: store.Image, tmp_path: Path) -> None:
    good = members(image)
    damaged = archive(tmp_path / "damaged", *good[:-1], (good[-1][0], b"\xff" * len(good[-1][1])))
    with pytest.raises(UserError, match=r"is damaged: root\.erofs has another content"):
        packed.unpack(damaged)
    with pytest.raises(UserError, match=r"is damaged: root\.erofs cannot be read"):
        packed.unpack(archive(tmp_path / "missing", *good[:-1]))
    assert store.images() == []


def test_nothing_leaves_the_folder(image: store.Image, tmp_path: Path) -> None:
    evil = [("../../evil", b"x"), ("/evil", b"x"), ("extra", b"x")]
    found, _ = packed.unpack(archive(tmp_path / "file", *members(image), *evil))
    assert sorted(path.name for path in found.path.iterdir()) == ["initrd", "manifest.json", "root.erofs", "vmlinuz"]
    assert not (tmp_path / "cache/snowshed/evil").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contract": 99}, "made for another version of snowshed"),
        ({"digest": "../../../evil"}, "does not fit its files"),
        ({"files": {"../evil": manifest.ImageFile(1, "0" * 64)}}, "does not fit its files"),
        ({"system": "riscv64-linux"}, "holds no image that this snowshed can read"),
    ],
)
def test_a_manifest_that_is_no_good(
    image: store.Image, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        packed.unpack(archive(tmp_path / "file", *members(image, **changes)))


def sent(image: store.Image) -> bytes:
    stream = io.BytesIO()
    packed.write(image, stream)
    return stream.getvalue()


def test_an_image_arrives_by_a_stream(image: store.Image) -> None:
    found, fresh = packed.receive(io.BytesIO(sent(image)), "somewhere", image.manifest.digest)
    assert (found.name, fresh) == (image.name, True)
    assert store.find(image.name).manifest == image.manifest


def test_another_image_than_was_asked_for_is_not_taken(image: store.Image) -> None:
    with pytest.raises(UserError, match="another one than was asked for"):
        packed.receive(io.BytesIO(sent(image)), "somewhere", "0" * 64)
    assert store.images() == []


@pytest.mark.parametrize("length", [0, 100, 600, 3000])
def test_a_stream_that_ends_too_early_leaves_nothing(image: store.Image, length: int) -> None:
    with pytest.raises(UserError):
        packed.receive(io.BytesIO(sent(image)[:length]), "somewhere", image.manifest.digest)
    assert store.images() == []
    assert {path.name for path in paths.images_root().glob("*")} <= {".lock"}
