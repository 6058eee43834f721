from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from snowshed import paths
from snowshed.errors import UserError
from snowshed.guest.contract import contract
from snowshed.images import debian, manifest, recipe, store
from snowshed.images.apt import Package
from snowshed.images.manifest import ImageFile, LinuxImage, Manifest, PackageName
from snowshed.model.machine import Arch

ONE, OTHER = "1" * 64, "12" + "3" * 62


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def described(digest: str = ONE, system: str = "x86_64-linux", created: int = 0, **other: object) -> Manifest:
    plain = Manifest(
        contract=contract().version,
        digest=digest,
        recipe=recipe.digest(),
        system=system,
        suite="trixie",
        created=created,
        boot=LinuxImage("6.12", "quiet"),
        packages=(PackageName("busybox-static", "1", "0" * 64),),
        files={"vmlinuz": ImageFile(5, "0" * 64), "root.erofs": ImageFile(7, "0" * 64)},
    )
    return msgspec.structs.replace(plain, **other)


def put(about: Manifest) -> Path:
    """An image on this machine."""
    folder = paths.images_root() / store.name_of(Arch(about.system.removesuffix("-linux")), about.digest)
    folder.mkdir(parents=True)
    (folder / manifest.NAME).write_bytes(manifest.encode(about))
    return folder


def start_from(name: str, image: Path) -> None:
    """A builder whose last start was from `image`."""
    state = paths.state_root() / name
    state.mkdir(parents=True)
    (state / "config.json").write_text(json.dumps({"image": str(image)}))


def test_a_manifest_is_read_as_it_was_written() -> None:
    about = described()
    assert manifest.decode(manifest.encode(about)) == about


def test_images_are_the_newest_first() -> None:
    put(described(ONE, created=1))
    put(described(OTHER, created=2))
    assert [image.manifest.digest for image in store.images()] == [OTHER, ONE]


def test_no_image_at_all() -> None:
    assert store.images() == []
    assert store.newest(Arch.X86_64, current=True) is None


def test_half_made_and_foreign_folders_are_no_images() -> None:
    root = paths.images_root()
    (root / ".building-abc").mkdir(parents=True)
    (root / ".building-abc" / manifest.NAME).write_bytes(manifest.encode(described()))
    (root / "x86_64-empty").mkdir()
    (root / "x86_64-broken").mkdir()
    (root / "x86_64-broken" / manifest.NAME).write_text("{")
    put(described(ONE, contract=contract().version + 1))
    put(described(OTHER, format=manifest.FORMAT + 1))
    assert store.images() == []


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        (b'"created": 0', b'"created": -99999999999999999'),
        (b'"created": 0', b'"created": 99999999999999999'),
        (b"x86_64-linux", b"riscv-linux"),
        (b'"size": 5', b'"size": -5'),
        (b'"size": 5', b'"size": 0'),
    ],
)
def test_an_image_with_a_damaged_manifest_is_none_and_the_others_are_found(sound: bytes, damaged: bytes) -> None:
    about = described(OTHER, files={"vmlinuz": ImageFile(5, "0" * 64)})
    file = put(about) / manifest.NAME
    assert sound in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(sound, damaged))
    whole = put(described(ONE))
    assert [image.path for image in store.images()] == [whole]


@pytest.mark.parametrize("name", ["x86_64-1111111111111111", "x86_64-11", "1111", ONE])
def test_an_image_is_found_by_any_beginning(name: str) -> None:
    put(described(ONE))
    put(described(OTHER))
    assert store.find(name).manifest.digest == ONE


def test_an_image_is_found_by_its_folder() -> None:
    folder = put(described())
    assert store.find(str(folder)).path == folder


def test_a_name_for_two_images_says_which() -> None:
    put(described(ONE))
    put(described(OTHER))
    with pytest.raises(UserError, match="means 2 images") as caught:
        store.find("x86_64")
    assert "x86_64-1111111111111111" in caught.value.hint


@pytest.mark.parametrize("name", ["none", "/nowhere/at-all", "1"])
def test_an_image_that_is_not_there(name: str) -> None:
    put(described())
    with pytest.raises(UserError):
        store.find(name)


def test_ensure_takes_the_newest_of_the_recipe_in_force() -> None:
    put(described(ONE, created=2, recipe="of another version"))
    put(described(OTHER, created=1))
    assert store.ensure(Arch.X86_64).manifest.digest == OTHER


def test_ensure_falls_back_to_an_older_image_where_none_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    put(described(ONE, recipe="of another version"))
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(debian.process, "find", _nothing_is_installed)
    assert store.ensure(Arch.X86_64).manifest.digest == ONE
    with pytest.raises(UserError, match="apt-get, dpkg-deb, mkfs") as caught:
        store.ensure(Arch.AARCH64)
    assert "apt-get install apt dpkg erofs-utils" in caught.value.hint


def _nothing_is_installed(program: str, hint: str, **_: object) -> str:
    raise UserError(f"{program} is not installed.", hint)


def test_ensure_refuses_an_image_of_the_other_architecture() -> None:
    put(described(ONE, "aarch64-linux"))
    with pytest.raises(UserError, match="is for aarch64-linux") as caught:
        store.ensure(Arch.X86_64, "1111")
    assert "--system aarch64-linux" in caught.value.hint


def test_removing_an_image() -> None:
    folder = put(described())
    store.remove(store.find("1111"))
    assert not folder.exists()
    assert list(paths.images_root().iterdir()) == []


def test_an_image_in_use_is_kept_unless_forced() -> None:
    folder = put(described())
    start_from("one", folder)
    start_from("two", Path("/other/image"))
    with pytest.raises(UserError, match="used by the builder one"):
        store.remove(store.find("1111"))
    assert folder.exists()
    store.remove(store.find("1111"), force=True)
    assert not folder.exists()


def package(name: str, version: str = "1") -> Package:
    return Package(name, version, "amd64", "0" * 64, 1, "file:/x")


def test_the_address_depends_on_recipe_system_and_every_package_but_not_on_order() -> None:
    packages = [package("a"), package("b")]
    address = manifest.content_address("x86_64-linux", "r", packages)
    assert address == manifest.content_address("x86_64-linux", "r", packages[::-1])
    others = {
        manifest.content_address("aarch64-linux", "r", packages),
        manifest.content_address("x86_64-linux", "s", packages),
        manifest.content_address("x86_64-linux", "r", packages[:1]),
        manifest.content_address("x86_64-linux", "r", [package("a", "2"), package("b")]),
    }
    assert len(others | {address}) == 5
