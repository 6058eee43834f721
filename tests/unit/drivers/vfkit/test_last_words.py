"""What is told of a vfkit that ended by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.drivers.vfkit.vm import last_words


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("usage\n\nError: it failed.\n", "it failed"),
        ("Error: it failed.\n[GIN] 2026/11/29 - 04:00:00 | 200 | GET /vm/state\n\n", "it failed"),
        ("[GIN] GET /vm/state\n", ""),
        ("", ""),
    ],
)
def test_it_is_the_last_that_the_program_said_itself(tmp_path: Path, messages: str, told: str) -> None:
    file = tmp_path / "messages"
    file.write_text(messages)
    assert last_words(file) == told


def test_a_program_that_said_nothing_at_all(tmp_path: Path) -> None:
    assert last_words(tmp_path / "messages") == ""
