"""`snowshed stop`"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import click

from ..control.client import Control, Gone, Unresponsive
from ..errors import GuestError, NotRunning, UserError
from ..holder import holder, holds
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

MOMENT = 2.0
"""Seconds in which a supervisor that nobody can reach is through with its start or its end."""

SIGNAL_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL for who stops with force, and for the kernel after the latter."""


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
    lock, patience = paths.supervisor_lock, LAST_STEPS
    try:
        if not _asked(paths, shown, force=force, grace=grace):
            if not held(lock):
                return False
            if not await_release(lock, MOMENT) and not _asked(paths, shown, force=force, grace=grace):
                _told(paths)
                patience = SIGNAL_GRACE if force else STOP_SILENCE
    except Gone:
        pass  # it is ending anyway: whether it has ended, its lock tells
    except Unresponsive as error:
        if not force or (pid := error.pid or holder(lock)) is None:
            raise
        _kill(paths, pid)
    if await_release(lock, patience) or (force and _killed(paths)):
        return True
    raise GuestError(
        f"The supervisor of {paths.name} was asked to end, and has not ended in time.",
        f"Look at `snowshed logs`; {_by_hand(lock) if force else '`snowshed stop --force` ends it.'}",
    )


def _asked(paths: BuilderPaths, shown: Progress, *, force: bool, grace: float | None) -> bool:
    """Whether there was a supervisor to be asked. Raises what `Control` raises, but for that."""
    silence = STOP_SILENCE + (grace or 0.0)
    try:
        with Control(paths.control) as control:
            control.request("stop", each=shown.event, silence=silence, force=force, grace=grace)
    except NotRunning:
        return False
    return True


def _told(paths: BuilderPaths) -> None:
    """Have the supervisor that nobody can ask stop its guest and end. Raises `UserError` where it is not known."""
    pid = holder(paths.supervisor_lock)
    if pid is None:
        if not held(paths.supervisor_lock):
            return
        raise UserError(
            f"Nobody listens at {paths.control}, and which process the supervisor of {paths.name} is, is not known.",
            _by_hand(paths.supervisor_lock),
        )
    note(f"Nobody listens at {paths.control}; a signal tells the supervisor (process {pid}) to end.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _killed(paths: BuilderPaths) -> bool:
    """End the supervisor that holds the lock without asking; whether it is gone."""
    if (pid := holder(paths.supervisor_lock)) is not None:
        note(f"The supervisor (process {pid}) has not ended; it is killed.")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return await_release(paths.supervisor_lock, SIGNAL_GRACE)


def _kill(paths: BuilderPaths, pid: int) -> None:
    """End process `pid`, which has the socket and says nothing. Raises `UserError` where it is no supervisor."""
    if not holds(pid, paths.supervisor_lock):
        then = "`snowshed stop` again" if held(paths.supervisor_lock) else "the builder does not run"
        raise UserError(
            f"Process {pid}, which listens at {paths.control}, is no supervisor of snowshed, and left alone.",
            f"End that program and delete the socket; {then}.",
        )
    note(f"The supervisor (process {pid}) does not answer; it is ended.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _by_hand(lock: Path) -> str:
    return f"Find the process that holds {lock} (`fuser` tells) and end it."
