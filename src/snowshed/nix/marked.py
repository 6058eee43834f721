"""Our part of a file that belongs to somebody else: a block between two marks. Pure.

Nothing outside of the marks is ever changed, and a block that is written twice is there once. Each builder has a
block of its own. A file whose marks do not pair was edited by hand: it is refused, with the line that is odd.
"""

from __future__ import annotations

from ..errors import UserError

_BEGIN = "# >>> snowshed {name}: written by `snowshed machines --install`, removed by --uninstall"
_END = "# <<< snowshed {name}"


def begin(name: str) -> str:
    return _BEGIN.format(name=name)


def end(name: str) -> str:
    return _END.format(name=name)


def with_block(text: str, name: str, lines: tuple[str, ...], *, where: str, top: bool = False) -> str:
    """`text` with our block `name` holding `lines`, in the place of the one it has, else at its end or, with `top`,
    at its beginning. `where` names the file in errors. Raises `UserError` for marks that do not pair."""
    block = "".join(f"{line}\n" for line in (begin(name), *lines, end(name)))
    span = _span(text, name, where)
    if span is not None:
        return text[: span[0]] + block + text[span[1] :]
    if top:
        return block + text
    return text + ("\n" if text and not text.endswith("\n") else "") + block


def without_block(text: str, name: str, *, where: str) -> str:
    """`text` without our block `name`. Raises `UserError` for marks that do not pair."""
    span = _span(text, name, where)
    return text if span is None else text[: span[0]] + text[span[1] :]


def names(text: str) -> list[str]:
    """The names of our blocks in `text`."""
    start = begin("\n").split("\n")[0]
    return [line[len(start) :].split(":")[0] for line in text.splitlines() if line.startswith(start)]


def _span(text: str, name: str, where: str) -> tuple[int, int] | None:
    """From where to where the block goes, its last line break included; None where there is none."""
    first = begin(name).split(":")[0] + ":"
    begins: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    position = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if line.startswith(first):
            begins.append((number, position))
        elif line.rstrip() == end(name):
            ends.append((number, position + len(line)))
        position += len(line)
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0][0] < begins[0][0]:
        odd = (begins or ends)[-1][0]
        raise UserError(
            f"{where} was edited by hand: the marks around the part of snowshed do not pair (line {odd}).",
            "Remove what belongs to snowshed there, marks included; then do this again.",
        )
    return begins[0][1], ends[0][1]
