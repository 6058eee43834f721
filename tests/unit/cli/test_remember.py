"""What a builder keeps, and where a new one finds its port."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from specs import KERNELS

from snowshed.cli import remember
from snowshed.cli.remember import free_port, implied, last_options, remember_options
from snowshed.model.machine import Arch
from snowshed.paths import BuilderPaths


@pytest.fixture(autouse=True)
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """A home of its own; and the ports that somebody listens on, as far as these tests know."""
    ports: set[int] = set()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(remember, "is_free", lambda port: port not in ports)
    return ports


def started(name: str, **config: object) -> BuilderPaths:
    """A builder that was started with `config`."""
    paths = BuilderPaths(name)
    paths.state.mkdir(parents=True)
    paths.last_config.write_text(json.dumps({"config": config, "image": ""}))
    return paths


def test_a_new_builder_takes_the_first_port_that_no_other_has() -> None:
    started("default", port=31222)
    started("two", port=31224)
    assert implied(BuilderPaths("new"), {}) == {"port": 31223}
    assert free_port("default") == 31222


def test_a_port_that_somebody_else_listens_on_is_passed_over(busy: set[int]) -> None:
    busy.update((31222, 31223))
    assert free_port("default") == 31224


def test_a_builder_that_was_started_keeps_system_port_and_disk() -> None:
    paths = started("one", system="aarch64-linux", port=4000, cores=3)
    paths.disk.write_bytes(bytes(512))
    assert implied(paths, {}) == {"system": "aarch64-linux", "port": 4000, "disk_size": 512}


def test_an_empty_disk_has_no_size_to_keep() -> None:
    paths = started("one", port=4000)
    paths.disk.touch()
    assert implied(paths, {}) == {"port": 4000}


def test_a_kernel_says_more_than_memory(tmp_path: Path) -> None:
    paths = started("one", system="x86_64-linux", port=4000)
    kernel = tmp_path / "Image"
    kernel.write_bytes(KERNELS[Arch.AARCH64])
    assert implied(paths, {"kernel": str(kernel)})["system"] == "aarch64-linux"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"config": []}'])
def test_damaged_memory_is_no_memory(damaged: str) -> None:
    paths = started("one")
    paths.last_config.write_text(damaged)
    paths.last_options.write_text(damaged)
    assert implied(paths, {}) == {"port": 31222}
    assert last_options(paths) in ({}, {"config": []})


def test_options_come_back_as_they_were_given() -> None:
    paths = started("one")
    remember_options(paths, {"cores": "2", "rosetta": False})
    assert last_options(paths) == {"cores": "2", "rosetta": False}
