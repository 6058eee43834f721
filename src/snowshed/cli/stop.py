"""`snowshed stop`"""

from __future__ import annotations

import os
import signal

import click

from ..control.client import Control, Gone, Unresponsive
from ..errors import GuestError, NotRunning, UserError
from ..paths import BuilderPaths
from ..state import await_release, held
from .options import Invocation, common, waiting
from .progress import How, Progress, done, progress
from .render import note
from .talk import unknown

STOP_SILENCE = 120.0
"""Seconds without a word beyond the grace period that was asked for."""

LAST_STEPS = 15.0
"""Seconds between the supervisor's answer and its end."""


@click.command("stop", short_help="Shut the guest down and end the builder.")
@common
@click.option("--force", is_flag=True, help="Pull the plug. What builds had not finished is lost, nothing else.")
@click.option("--grace", metavar="SECONDS", type=click.FloatRange(min=0), help="How long the guest may take.")
@waiting
@click.pass_obj
def command(invocation: Invocation, force: bool, grace: float | None) -> int:
    """Shut the guest down and end the builder.

    A guest that has not shut down after the grace period (30 seconds) is cut off. Stopping a builder that does not run
    is no error; a name that no builder has is one.

    \b
    snowshed stop
    snowshed stop -b arm --grace 120
    snowshed stop --force                           now, whatever it does
    """
    if error := unknown(invocation.paths):
        raise error
    stopped = stop(invocation.paths, force=force, grace=grace, how=invocation.how)
    done(f"The builder {invocation.builder} is {'stopped' if stopped else 'not running'}.", invocation.how)
    return 0


def stop(paths: BuilderPaths, *, force: bool = False, grace: float | None = None, how: How = How.PLAIN) -> bool:
    """Stop the builder and return when its supervisor is gone; False if there was none. Raises `SnowshedError`."""
    # the lock of a builder of the system is not everybody's to look at; its control socket is
    if not held(paths.supervisor_lock) and not paths.control.exists():
        return False
    with progress("Stopping it", how) as shown:
        return _stop(paths, shown, force=force, grace=grace)


def _stop(paths: BuilderPaths, shown: Progress, *, force: bool, grace: float | None) -> bool:
    silence = STOP_SILENCE + (grace or 0.0)
    try:
        with Control(paths.control) as control:
            control.request("stop", each=shown.event, silence=silence, force=force, grace=grace)
    except NotRunning:
        if not held(paths.supervisor_lock):
            return False
    except Gone:
        pass  # it is ending anyway: whether it has ended, its lock tells
    except Unresponsive as error:
        if not force or error.pid is None:
            raise
        if not held(paths.supervisor_lock):
            raise UserError(
                f"Process {error.pid}, which listens at {paths.control}, is no supervisor of snowshed, and left alone.",
                "End that program and delete the socket; the builder does not run.",
            ) from None
        note(f"The supervisor (process {error.pid}) does not answer; it is ended.")
        os.kill(error.pid, signal.SIGKILL)
    if not await_release(paths.supervisor_lock, LAST_STEPS):
        raise GuestError(
            f"The supervisor of {paths.name} has not ended {LAST_STEPS:.0f} seconds after it was asked to.",
            "Look at `snowshed logs`; `snowshed stop --force` ends it.",
        )
    return True
