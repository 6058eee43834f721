from __future__ import annotations

from pathlib import Path

from snowshed.model.diagram import mermaid
from snowshed.model.lifecycle import State

PAGE = Path(__file__).parents[3] / "docs" / "lifecycle.md"


def test_the_page_shows_the_table() -> None:
    assert f"```mermaid\n{mermaid()}```\n" in PAGE.read_text(), "run scripts/lifecycle-diagram"


def test_every_state_is_drawn_and_explained() -> None:
    for state in State:
        assert f" {state}" in mermaid()
        assert state in PAGE.read_text()
