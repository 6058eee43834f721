"""What may be shared with a guest, and under which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.config import Host, load
from snowshed.errors import UserError
from snowshed.guest.contract import contract
from snowshed.model.machine import Arch
from snowshed.settings import ShareConfig
from snowshed.shares import LONGEST_NAME, check_names, check_places, check_store
from snowshed.units import GIB

HOST = Host(cores=4, memory=16 * GIB, arch=Arch.X86_64, platform="linux")


@pytest.mark.parametrize("name", ["src", "a.b-c_D", "x" * LONGEST_NAME])
def test_names_that_are_good(name: str) -> None:
    check_names([name])


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a b", "a:b", "a/b", "a,b", "-ro", "ä", "x\n", "x" * (LONGEST_NAME + 1)]
)
def test_names_that_no_share_can_have(name: str) -> None:
    with pytest.raises(UserError, match="cannot be called"):
        check_names([name])


@pytest.mark.parametrize("name", [contract().shares.nix_store, contract().shares.rosetta])
def test_our_own_names_are_taken(name: str) -> None:
    with pytest.raises(UserError, match="that share is snowshed's"):
        check_names([name])


def test_a_configuration_is_checked_for_them(tmp_path: Path) -> None:
    file = tmp_path / "default.toml"
    file.write_text('[shares."a b"]\npath = "/srv"\n')
    with pytest.raises(UserError, match="'a b'"):
        load(file, {}, HOST, {})


def refused(path: Path | str, state: Path) -> str:
    with pytest.raises(UserError) as error:
        check_places({"it": ShareConfig(str(path))}, state)
    return error.value.message


def test_directories_that_cannot_be_shared(tmp_path: Path) -> None:
    state = tmp_path / "home/state"
    state.mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(state)
    assert "no absolute path" in refused("src", state)
    assert "does not exist" in refused(tmp_path / "absent", state)
    assert "is not a directory" in refused(tmp_path / "file", state)
    assert "all of this host" in refused("/", state)
    assert "all of this host" in refused("/usr/..", state)
    for place in (state, state.parent, tmp_path / "link"):
        assert "its keys and its disk" in refused(place, state)
    (state / "ssh").mkdir()
    assert "its keys and its disk" in refused(state / "ssh", state)
    (tmp_path / "home/state-too").mkdir()
    check_places({"it": ShareConfig(str(tmp_path / "home/state-too"))}, state)


def test_a_host_without_a_store(tmp_path: Path) -> None:
    check_store(tmp_path)
    with pytest.raises(UserError, match="This host has no Nix store"):
        check_store(tmp_path / "nix/store")
