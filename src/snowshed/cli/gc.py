"""`snowshed gc`"""

from __future__ import annotations

import click

from .options import Invocation, common, waiting
from .progress import done, progress
from .talk import ask

COLLECT_SILENCE = 3600.0
"""Seconds without a word: a large store takes its time."""


@click.command("gc", short_help="Collect garbage in the guest's store and give freed space back.")
@common
@waiting
@click.pass_obj
def command(invocation: Invocation) -> int:
    """Collect garbage in the guest's store and give freed space back to the host. A builder that sleeps wakes.

    The tools and packages that images leave which are made in it go as well; the next one brings them back.

    \b
    snowshed gc
    snowshed gc -b arm --quiet
    """
    with progress("Collecting garbage", invocation.how) as shown:
        report = ask(invocation.paths, "gc", silence=COLLECT_SILENCE, each=shown.event)
    text = "The guest's store holds only what is needed; freed blocks are back with the host."
    done(text, invocation.how, report=report)
    return 0
