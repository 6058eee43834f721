"""`snowshed top`: what all builders are doing, as it changes"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ..paths import BuilderPaths, find_builder
from .figures import Figures
from .follow import Following
from .known import known_builders
from .options import Invocation, NewFile, common
from .render import moves, note, out, snapshot

INTERVAL = 2.0
ONCE_INTERVAL = 0.5
"""Seconds between the two samples that a single picture is made of."""
ONCE_PATIENCE = 6.0
"""Seconds for all builders to say how they are."""

Builders = Callable[[], Sequence[BuilderPaths]]


@click.command("top", short_help="What all builders are doing, as it changes.")
@common
@click.option(
    "-i",
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.25),
    default=INTERVAL,
    help=f"How often figures are taken ({INTERVAL:.0f}). Changes of state are shown at once.",
)
@click.option("--once", is_flag=True, help="Print it once, as text, and end: so it does without a terminal, too.")
@click.option("--json", "as_json", is_flag=True, help="Once, as JSON: a list of builders.")
@click.option(
    "--svg",
    metavar="FILE",
    type=NewFile(),
    help="Once, as a picture.",
)
@click.pass_obj
def command(invocation: Invocation, interval: float, once: bool, as_json: bool, svg: Path | None) -> int:
    """What all builders are doing, as it changes: processors, memory, disk, connections, builds by name, time to idle.

    Watching keeps no builder awake. q or Ctrl-C ends it.

    \b
    snowshed top
    snowshed top -b arm --interval 1
    snowshed top --once
    """

    def builders() -> Sequence[BuilderPaths]:
        return [invocation.paths] if invocation.is_chosen else [find_builder(name) for name in known_builders()]

    return show(builders, interval, once=once, as_json=as_json, svg=svg)


def show(
    builders: Builders,
    interval: float = INTERVAL,
    *,
    once: bool = False,
    as_json: bool = False,
    svg: Path | None = None,
) -> int:
    """Show `builders` until somebody has seen enough; once where that is asked for, or nobody sees it move."""
    if not (once or as_json or svg) and moves(sys.stdout):
        from .screen import watch

        return watch(builders, interval)
    figures = _at_once(builders())
    if as_json:
        out(json.dumps([{**each.report, "builds": each.builds, "processor": each.processor} for each in figures]))
    elif svg:
        _picture(figures, svg)
        note(f"The picture is in {svg}.")
    elif figures:
        out(snapshot(figures))
    else:
        note("There is no builder yet; `snowshed start` makes one.")
    return 0


def _at_once(builders: Sequence[BuilderPaths]) -> list[Figures]:
    """The figures of `builders`, from two samples each: speeds need two."""
    following = Following(ONCE_INTERVAL)
    try:
        following.follow(builders)
        deadline = time.monotonic() + ONCE_PATIENCE
        while not all(_is_told(each) for each in following.figures.values()):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([following.readable], [], [], left)[0]:
                break
            following.take()
    finally:
        following.close()
    return [following.figures[paths.name] for paths in builders]


def _is_told(figures: Figures) -> bool:
    return figures.processor is not None or figures.samples >= (3 if figures.report["running"] else 1)


def _picture(figures: Sequence[Figures], file: Path) -> None:
    from .dashboard import dashboard
    from .picture import drawing, save

    console = drawing()
    console.print(dashboard(figures, console))
    save(console, file, "snowshed top")
