from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.supervisor.console import TAIL, Console, plain, strip_queries

QUERIES = [b"\x1b[6n", b"\x1b[c", b"\x1b[>c", b"\x1b[0c", b"\x1b[?6n", b"\x1b]11;?\x07", b"\x1bZ", b"\x1b[18t", b"\x05"]


@pytest.mark.parametrize("query", QUERIES, ids=repr)
def test_what_makes_a_terminal_answer_is_cut_out(query: bytes) -> None:
    assert strip_queries(b"a" + query + b"b") == b"ab"


def test_colours_stay() -> None:
    text = b"\x1b[1;32mok\x1b[0m \x1b]0;title\x07"
    assert strip_queries(text) == text


def console(folder: Path, **options: object) -> tuple[Console, list[str]]:
    stages: list[str] = []
    marks = {"snowshed-stage:": stages.append, "snowshed-fact:": lambda fact: stages.append(f"fact {fact}")}
    return Console(folder / "console.log", marks, **options), stages  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 100), max_size=6))
def test_stages_are_found_wherever_the_output_is_cut(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    said = b"[ 1.2] booting\r\n\x1b[6nsnowshed-stage: boot\r\nnoise snowshed-stage: disk\nsnowshed-fact: features kvm\n"
    folder = tmp_path_factory.mktemp("console")
    sink, stages = console(folder)
    places = sorted({0, *(c for c in cuts if c < len(said)), len(said)})
    for start, end in pairwise(places):
        sink.feed(said[start:end])
    sink.close()
    assert stages == ["boot", "disk", "fact features kvm"]
    assert b"\x1b[6n" not in (folder / "console.log").read_bytes()


def test_the_tail_keeps_the_last_lines_for_people(tmp_path: Path) -> None:
    sink, _ = console(tmp_path)
    for number in range(TAIL + 5):
        sink.feed(b"\x1b[31mline %d\x1b[0m\r\n\r\n" % number)
    assert list(sink.tail) == [f"line {n}" for n in range(5, TAIL + 5)]


def test_an_unfinished_line_is_written_at_the_end(tmp_path: Path) -> None:
    echo = BytesIO()
    sink, _ = console(tmp_path, echo=echo)
    sink.feed(b"Kernel panic")
    sink.close()
    assert (tmp_path / "console.log").read_bytes() == b"Kernel panic\n" == echo.getvalue()


def test_a_guest_that_never_ends_its_line_is_written_anyway(tmp_path: Path) -> None:
    sink, _ = console(tmp_path)
    sink.feed(b"x" * 10000)
    assert (tmp_path / "console.log").stat().st_size >= 10000


@given(st.binary())
def test_plain_text_is_printable(data: bytes) -> None:
    assert all(c.isprintable() or c == "\t" for c in plain(data))
