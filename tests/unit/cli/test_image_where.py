from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.cli import image_where
from snowshed.errors import UserError
from snowshed.paths import BuilderPaths


def says(name: str, state: str = "running", network: str = "nat", image: str = "x86_64-1") -> dict[str, str]:
    return {"name": name, "state": state, "network": network, "image": image}


@pytest.mark.parametrize(
    ("reports", "name"),
    [
        ([], ""),
        ([says("one")], "one"),
        ([says("one"), says("default")], "default"),
        ([says("one"), says("default", state="suspended")], "one"),
        ([says("two", state="paused"), says("one", state="suspended")], "one"),
        ([says("default", network="restricted"), says("one", network="none")], ""),
        ([says("default", image="x86_64-old"), says("one", state="suspended")], "one"),
    ],
)
def test_the_builder_that_suits_best(reports: list[dict[str, str]], name: str) -> None:
    assert image_where.chosen(reports, {"x86_64-old"}) == name


def test_a_builder_without_a_network_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    builder = BuilderPaths("one", tmp_path / "one")
    with pytest.raises(UserError, match="The builder one reaches no network"):
        image_where.inside(builder, {**says("one", network="restricted"), "port": 1, "system": "x86_64-linux"})
    assert not builder.state.exists()
