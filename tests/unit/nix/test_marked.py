"""Our part of other people's files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.errors import UserError
from snowshed.nix.marked import begin, end, names, with_block, without_block

OTHERS = "# mine\nssh://old x86_64-linux\n"
FOREIGN = st.text(st.characters(exclude_categories=("Cs",)), max_size=200).filter(lambda t: "snowshed" not in t)


def test_a_block_goes_to_the_end_or_to_the_top() -> None:
    block = f"{begin('default')}\na\nb\n{end('default')}\n"
    assert with_block(OTHERS, "default", ("a", "b"), where="f") == OTHERS + block
    assert with_block(OTHERS, "default", ("a", "b"), where="f", top=True) == block + OTHERS
    assert with_block("", "default", ("a", "b"), where="f") == block
    assert with_block("no line break", "default", ("a", "b"), where="f") == "no line break\n" + block


@given(FOREIGN, FOREIGN, st.booleans())
def test_nothing_else_is_touched_and_twice_is_once(before: str, after: str, top: bool) -> None:
    text = before + ("" if before.endswith("\n") or not before else "\n") + after
    once = with_block(text, "arm", ("x",), where="f", top=top)
    assert with_block(once, "arm", ("x",), where="f", top=top) == once
    other = with_block(once, "arm", ("y", "z"), where="f")
    assert without_block(other, "arm", where="f") in (text, text + "\n")
    assert names(once) == ["arm"]


def test_each_builder_has_its_own() -> None:
    text = with_block(with_block(OTHERS, "a", ("1",), where="f"), "a-b", ("2",), where="f")
    assert names(text) == ["a", "a-b"]
    assert without_block(text, "a", where="f") == with_block(OTHERS, "a-b", ("2",), where="f")


def test_a_block_is_renewed_where_it_is() -> None:
    text = with_block("first\n", "a", ("1",), where="f") + "last\n"
    assert with_block(text, "a", ("2",), where="f") == text.replace("\n1\n", "\n2\n")


@pytest.mark.parametrize(
    "text",
    [
        f"{begin('a')}\nx\n",
        f"x\n{end('a')}\n",
        f"{end('a')}\n{begin('a')}\n",
        f"{begin('a')}\n{begin('a')}\n{end('a')}\n",
        f"{begin('a')}\n{end('a')}\n{end('a')}\n",
    ],
)
def test_marks_that_do_not_pair_are_somebodys_edit(text: str) -> None:
    for change in (lambda: with_block(text, "a", (), where="/etc/f"), lambda: without_block(text, "a", where="/etc/f")):
        with pytest.raises(UserError, match="/etc/f was edited by hand") as error:
            change()
        assert "line" in error.value.message
    assert without_block(text, "b", where="f") == text
