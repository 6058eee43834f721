"""`snowshed events`"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ..control.client import ANSWER_DEADLINE, Control, Gone
from ..errors import NotRunning, UserError
from ..paths import BuilderPaths
from .options import Invocation, common
from .render import note
from .report import note_version
from .tail import following
from .talk import event_line, private, unknown

KINDS = ("state", "stage", "message")

Fits = Callable[[dict[str, Any]], bool]


@click.command("events", short_help="What happened, as it happens.")
@common
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or `destroy`.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), default=100, help="So many events (100).")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    type=click.Choice(KINDS),
    help="Only state, stage or message; may be given several times.",
)
@click.pass_obj
def command(invocation: Invocation, follow: bool, as_json: bool, lines: int, kinds: tuple[str, ...]) -> int:
    """What happened to the builder: states, stages of a start, messages.

    \b
    snowshed events
    snowshed events -f --kind state
    snowshed events --json -n 1000 | jq -r .text
    """
    if (error := unknown(invocation.paths)) is not None:
        raise error
    file = invocation.paths.events
    try:
        if not file.exists() and not follow:
            raise UserError(
                f"Nothing has happened to the builder {invocation.builder} yet.", "`snowshed start` begins it."
            )
        past, size = replay(file)
    except PermissionError:
        _from_supervisor(invocation.paths, as_json, lines=lines, kinds=kinds, follow=follow)
        return 0
    for line, event in deque(_fitting(past, kinds), lines):
        _show(line, event, as_json)
    if follow:
        for line, event in _fitting(_lines(following(invocation.paths, file, "-c", f"+{size + 1}")), kinds):
            _show(line, event, as_json)
    return 0


def _from_supervisor(paths: BuilderPaths, as_json: bool, **wanted: Any) -> None:
    """What the supervisor tells everybody of a file that not everybody may read. Raises `SnowshedError`."""

    def each(event: dict[str, Any]) -> None:
        _show(json.dumps(event, ensure_ascii=False, separators=(",", ":")), event, as_json)

    try:
        with Control(paths.control) as control:
            note_version(control.version)
            control.request("history", each=each, silence=None if wanted["follow"] else ANSWER_DEADLINE, **wanted)
    except NotRunning:
        raise private(paths, "events", "While it does not run, its events are") from None
    except Gone:
        note(f"The supervisor of {paths.name} has ended.")


def replay(file: Path) -> tuple[list[str], int]:
    """The lines of `file` and of the one before it, and how many bytes of `file` these are: whole lines alone."""
    found: list[str] = []
    size = 0
    for each in (file.with_name(file.name + ".1"), file):
        size = 0
        with suppress(FileNotFoundError):
            data = each.read_bytes()
            size = data.rfind(b"\n") + 1
            found += data[:size].decode(errors="replace").splitlines()
    return found, size


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The whole lines in `pieces`."""
    begun = b""
    for piece in pieces:
        *whole, begun = (begun + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _fitting(lines: Iterable[str], kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines that are events, of `kinds` if any are named. A machine that lost power may leave others."""
    for line in lines:
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and (not kinds or event.get("kind") in kinds):
                yield line, event


def _show(line: str, event: dict[str, Any], as_json: bool) -> None:
    print(line if as_json else event_line(event))
    sys.stdout.flush()
