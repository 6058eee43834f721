from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from fakes.file_server import serving

from command import put_image
from disks import efi_disk
from snowshed import paths
from snowshed.errors import UserError
from snowshed.images import debian, packed, released, store
from snowshed.images.released import Source
from snowshed.model.machine import Arch

DIGEST = hashlib.sha256(b"x").hexdigest()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def release(file: Path, **about: str) -> Path:
    """A table with one image."""
    file.write_text("[[image]]\n" + "".join(f'{key} = "{value}"\n' for key, value in about.items()))
    return file


def test_our_own_table_can_be_read_and_each_image_of_it_is_pinned() -> None:
    for source in released.table():
        assert released.named(source.url, source.sha256).sha256 == source.sha256
        assert source.url.startswith("https://")
        assert source.system in [arch.nix_system for arch in Arch]


def test_a_table_that_is_empty_is_said_to_be(tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text("image = []\n")
    with pytest.raises(UserError, match="its table of released images is empty") as caught:
        released.pinned(Arch.AARCH64, table)
    assert "nix build .#debian-image-aarch64-linux" in caught.value.hint
    assert "--url and --sha256" in caught.value.hint


def test_an_image_that_was_released_for_another_machine(tmp_path: Path) -> None:
    table = release(tmp_path / "table", system="aarch64-linux", url="https://x.invalid/i", sha256=DIGEST)
    assert released.pinned(Arch.AARCH64, table).url == "https://x.invalid/i"
    with pytest.raises(UserError, match="none was released for it"):
        released.pinned(Arch.X86_64, table)


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), "sha256-" + base64.b64encode(bytes.fromhex(DIGEST)).decode()])
def test_a_hash_as_people_have_it(text: str) -> None:
    assert released.named("https://x.invalid/i", text).sha256 == DIGEST


@pytest.mark.parametrize(
    ("url", "sha256", "sentence"),
    [
        ("https://x.invalid/i", "", "go together"),
        ("", DIGEST, "go together"),
        ("https://x.invalid/i", "1234", "is not a SHA-256"),
        ("https://x.invalid/i", "sha256-!!", "is not a SHA-256"),
        ("image.tar", DIGEST, "is not an address"),
        ("ftp://x.invalid/i", DIGEST, "is not an address"),
    ],
)
def test_bad_input(url: str, sha256: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        released.named(url, sha256)


def exported(folder: Path) -> tuple[store.Image, bytes]:
    image = store.load(put_image(folder / "elsewhere", Arch.X86_64))
    assert image is not None
    packed.pack(image, folder / "image.tar")
    return image, (folder / "image.tar").read_bytes()


def test_what_was_exported_is_fetched_and_then_it_is_there(tmp_path: Path) -> None:
    image, content = exported(tmp_path)
    sha256 = hashlib.sha256(content).hexdigest()
    with serving(content) as server:
        source = Source(server.url, sha256, "x86_64-linux", image.manifest.digest)
        found, fresh = released.fetch(source)
        assert (found.name, fresh) == (image.name, True)
        assert released.fetch(source) == (found, False)
        assert server.asked == [""], "it is not fetched twice"
    assert list((paths.cache_root() / "downloads").iterdir()) == []


def test_a_raw_disk_is_imported_under_its_name(tmp_path: Path) -> None:
    disk = efi_disk(tmp_path / "nixos.raw", Arch.AARCH64)
    sha256 = hashlib.sha256(disk.read_bytes()).hexdigest()
    found, fresh = released.fetch(Source(disk.as_uri(), sha256))
    assert fresh
    assert (found.manifest.origin, found.name) == ("nixos.raw", f"aarch64-{sha256[:16]}")


def test_a_start_fetches_where_nothing_can_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise UserError("There is no apt.")

    monkeypatch.setattr(debian, "build", nothing)
    with pytest.raises(UserError, match="There is no apt"):
        store.ensure(Arch.X86_64)
    image, content = exported(tmp_path)
    with serving(content) as server:
        table = release(
            tmp_path / "table", system="x86_64-linux", url=server.url, sha256=hashlib.sha256(content).hexdigest()
        )
        monkeypatch.setattr(released, "known", lambda arch, known=released.known: known(arch, table))
        assert store.ensure(Arch.X86_64).name == image.name
