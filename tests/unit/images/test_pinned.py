"""The pinned packages of the image that is a Nix package, and what is done with files that are not they."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from snowshed.errors import UserError
from snowshed.images.apt import Package
from snowshed.images.pinned import PinnedPackage, Pins, _pinned, check
from snowshed.images.recipe import recipe
from snowshed.model.machine import Arch

LISTS = Path(__file__).parents[3] / "nix" / "debian"
ONE = PinnedPackage("one", "1.0", "all", hashlib.sha256(b"one").hexdigest(), 3, "pool/main/o/one/one_1.0_all.deb")


@pytest.mark.parametrize("arch", Arch)
def test_the_lists_hold_what_the_recipe_asks_for(arch: Arch) -> None:
    pins = msgspec.json.decode((LISTS / f"{arch.nix_system}.json").read_bytes(), type=Pins)
    left_out = {*recipe().left_out, f"linux-image-cloud-{arch.debian}"}
    missing = {*recipe().packages_for(arch)} - left_out - {package.name for package in pins.packages}
    assert missing == set(), "run scripts/pin-debian"
    assert any(package.name.startswith("linux-image-") for package in pins.packages)
    assert pins.stub.name == "systemd-boot-efi"
    assert {package.path.split("/")[0] for package in pins.wanted(efi_disk=True)} == {"pool"}


def test_files_are_the_packages_that_were_pinned(tmp_path: Path) -> None:
    file = tmp_path / "one.deb"
    file.write_bytes(b"one")
    check([ONE], [file])
    file.write_bytes(b"two")
    with pytest.raises(UserError, match=r"one\.deb is not the package one 1\.0 that is pinned"):
        check([ONE], [file])
    with pytest.raises(UserError, match="1 packages are pinned, and 2 files were given"):
        check([ONE], [file, file])


def test_no_mirror_is_pinned() -> None:
    package = Package("one", "1.0", "all", "00", 3, "http://mirror.example/debian/pool/main/o/one/one_1.0_all.deb")
    assert _pinned(package, "http://mirror.example/debian/").path == "pool/main/o/one/one_1.0_all.deb"
    with pytest.raises(UserError, match="outside the archive's pool"):
        _pinned(package, "http://other.example/")
