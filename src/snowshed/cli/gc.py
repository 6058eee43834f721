"""`snowshed gc`"""

from __future__ import annotations

import click

from .options import Invocation, common
from .render import note
from .talk import ask, narrate

COLLECT_SILENCE = 3600.0
"""Seconds without a word: a large store takes its time."""


@click.command("gc", short_help="Collect garbage in the guest's store and give freed space back.")
@common
@click.pass_obj
def command(invocation: Invocation) -> int:
    """Collect garbage in the guest's store and give freed space back to the host."""
    ask(invocation.paths, "gc", silence=COLLECT_SILENCE, each=narrate)
    note("The guest's store holds only what is needed; freed blocks are back with the host.")
    return 0
