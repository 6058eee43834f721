from __future__ import annotations

import json
from pathlib import Path

import pytest

from snowshed import paths
from snowshed.images import freshness
from snowshed.images.freshness import Change

NOON = 1_790_000_000.0


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def image(name: str = "x86_64-1", **versions: str) -> Path:
    folder = paths.images_root() / name
    folder.mkdir(parents=True)
    packages = [{"name": package, "version": version} for package, version in versions.items()]
    manifest = {"system": "x86_64-linux", "suite": "trixie", "packages": packages}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def remember(name: str = "x86_64-2", **versions: str) -> None:
    freshness.remember("x86_64-linux", "trixie", versions, name, NOON)


def test_what_changed() -> None:
    found = freshness.changes({"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"})
    assert found == [Change("a", "1", ""), Change("b", "1", "2"), Change("d", "", "1")]
    assert [str(change) for change in found] == ["a 1 (no more)", "b 1 → 2", "d 1 (new)"]


def test_an_image_that_is_older_is_said_to_be_with_the_date() -> None:
    old = image(git="1", nix="2")
    remember(git="2", nix="2")
    said = freshness.sentence(old, "arm")
    assert f"older than Debian's packages of {freshness.day(NOON)}: 1 is newer (git)" in said
    assert "`snowshed image upgrade` makes a new one" in said
    assert "`snowshed restart -b arm`" in said


def test_one_that_is_made_already_only_has_to_be_started() -> None:
    old = image(git="1")
    image("x86_64-2", git="2")
    remember(git="2")
    assert "image upgrade" not in freshness.sentence(old)
    assert "`snowshed restart` starts it from the newest" in freshness.sentence(old)


def test_only_some_packages_are_named() -> None:
    old = image(a="1", b="1", c="1", d="1")
    remember(a="2", b="2", c="2", d="2")
    assert "4 are newer (a, b, c, …)" in freshness.sentence(old)


def test_nothing_is_said_of_what_nobody_asked() -> None:
    old = image(git="1")
    assert freshness.sentence(old) == ""
    freshness.remember("aarch64-linux", "trixie", {"git": "2"}, "aarch64-2")
    freshness.remember("x86_64-linux", "forky", {"git": "2"}, "x86_64-3")
    assert freshness.sentence(old) == ""


@pytest.mark.parametrize("versions", [{"git": "1"}, {"git": "1", "more": "1"}, {}])
def test_an_image_that_is_as_new(versions: dict[str, str]) -> None:
    old = image(git="1")
    remember(**versions)
    assert freshness.sentence(old) == ""


def test_an_imported_image_has_no_age() -> None:
    remember(git="2")
    assert freshness.sentence(image()) == ""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"x86_64-linux trixie": 3}', '{"x86_64-linux trixie": {"asked": "?"}}']
)
def test_a_damaged_answer_is_none(text: str) -> None:
    old = image(git="1")
    (paths.cache_root() / "newest.json").write_text(text)
    assert freshness.last_answer("x86_64-linux", "trixie") is None
    assert freshness.sentence(old) == ""
    remember(git="2")
    assert freshness.sentence(old) != ""


def test_a_cache_that_cannot_be_written_is_no_error() -> None:
    paths.cache_root().parent.mkdir(parents=True)
    paths.cache_root().write_text("in the way")
    remember(git="2")


def test_no_image_at_all() -> None:
    assert freshness.sentence(Path("/nowhere")) == ""
