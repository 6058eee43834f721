"""`snowshed suspend`, `pause` and `resume`: putting a builder to sleep, and waking it"""

from __future__ import annotations

import click

from ..control.client import goes_on
from .options import Invocation, common, waiting
from .progress import done, progress
from .start import START_SILENCE
from .talk import ask, stopped_meanwhile

SAVE_SILENCE = 660.0
"""Seconds without a word: longer than the supervisor gives the writing of the guest's memory."""

_force = click.option("--force", is_flag=True, help="Also while something is using it.")


@click.command("suspend", short_help="Put the builder to sleep on disk; its memory goes back to the host.")
@common
@_force
@waiting
@click.pass_obj
def suspend(invocation: Invocation, force: bool) -> int:
    """Put the builder to sleep on disk; its memory goes back to the host.

    The next connection wakes it. A builder that is in use is left alone, unless with --force.

    \b
    snowshed suspend
    snowshed suspend -b arm --force
    """
    with progress("Putting it to sleep", invocation.how) as shown:
        report = ask(invocation.paths, "suspend", silence=SAVE_SILENCE, each=shown.event, force=force)
    text = f"The builder {invocation.builder} is suspended; the next connection wakes it."
    done(text, invocation.how, report=report)
    return 0


@click.command("pause", short_help="Stop the guest's processors and keep its memory.")
@common
@_force
@waiting
@click.pass_obj
def pause(invocation: Invocation, force: bool) -> int:
    """Stop the guest's processors and keep its memory. The next connection wakes it at once.

    \b
    snowshed pause
    """
    with progress("Stopping its processors", invocation.how) as shown:
        report = ask(invocation.paths, "pause", silence=60.0, each=shown.event, force=force)
    text = f"The builder {invocation.builder} is paused; the next connection wakes it."
    done(text, invocation.how, report=report)
    return 0


@click.command("resume", short_help="Wake the builder.")
@common
@waiting
@click.pass_obj
def resume(invocation: Invocation) -> int:
    """Wake the builder, and return when Nix can build on it.

    \b
    snowshed resume
    """
    with progress("Waking it", invocation.how) as shown, goes_on("resume"), stopped_meanwhile(invocation.paths):
        report = ask(invocation.paths, "start", silence=START_SILENCE, each=shown.event)
    done(f"The builder {invocation.builder} is running.", invocation.how, report=report)
    return 0
