"""`snowshed events`"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import click

from .. import process
from ..errors import UserError
from .options import Invocation, common
from .render import out
from .talk import event_line


@click.command("events", short_help="What happened, as it happens.")
@common
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), default=100, help="So many events (100).")
@click.pass_obj
def command(invocation: Invocation, follow: bool, as_json: bool, lines: int) -> int:
    """What happened to the builder: states, stages of a start, messages."""
    file = invocation.paths.events
    if not file.exists() and not follow:
        raise UserError(f"Nothing has happened to the builder {invocation.builder} yet.", "Start it: `snowshed start`.")
    tail = process.find("tail", "It is part of coreutils.")
    argv: list[str | Path] = [tail, "-n", str(lines), *(["-F"] if follow else []), file]
    if as_json:
        process.replace(argv)
    with process.lines(argv) as words:
        for line in words:
            with suppress(ValueError):  # the last line of a machine that lost power
                out(event_line(json.loads(line)))
    return 0
