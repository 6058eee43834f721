"""The life of a builder: one table from (state, event) to the next state, or to the reason why not.

Nothing else changes a builder's state. The states that end in -ing are those in which exactly one operation is at
work on the VM; they are left by that operation's own `DONE` or `BROKEN`, or by the VM's `EXITED`. Whoever wants the
VM meanwhile (`WAKE`) is noted and served afterwards: the operation looks at its steps whether somebody is waiting,
and `GIVE_UP` takes it back to running.
"""

from __future__ import annotations

from enum import StrEnum

from ..errors import NotRunning, UserError


class State(StrEnum):
    """Where a builder is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    RESUMING = "resuming"
    STOPPING = "stopping"
    FAILED = "failed"


class Event(StrEnum):
    """What may happen to a builder. The first four are wishes, the others are facts."""

    WAKE = "wake"
    """Somebody needs the guest: a connection, or `start`, or `resume`."""
    PAUSE = "pause"
    SUSPEND = "suspend"
    STOP = "stop"
    DONE = "done"
    """The operation at work succeeded."""
    GIVE_UP = "give-up"
    """The operation was taken back and the guest runs as before."""
    BROKEN = "broken"
    """The operation at work failed, or the guest stopped answering, and the VM is gone."""
    EXITED = "exited"
    """The VM ended without being asked to."""
    COLD = "cold"
    """What was to be resumed does not fit any more: boot instead."""


class Refusal(StrEnum):
    """Why an event does not apply in a state."""

    NOT_RUNNING = "the builder is not running"
    BUSY = "another operation is at work on the builder"
    ASLEEP = "the builder is asleep already"
    MEANINGLESS = "nothing is at work that could end so"


TRANSITIONAL = frozenset({State.STARTING, State.PAUSING, State.SUSPENDING, State.RESUMING, State.STOPPING})
"""States in which an operation is at work."""

HAS_VM = TRANSITIONAL | {State.RUNNING, State.PAUSED}
"""States in which a hypervisor process may exist."""

S, E, R = State, Event, Refusal

TRANSITIONS: dict[tuple[State, Event], State | Refusal] = {
    (S.STOPPED, E.WAKE): S.STARTING,
    (S.STOPPED, E.PAUSE): R.NOT_RUNNING,
    (S.STOPPED, E.SUSPEND): R.NOT_RUNNING,
    (S.STOPPED, E.STOP): S.STOPPED,
    (S.STOPPED, E.DONE): R.MEANINGLESS,
    (S.STOPPED, E.GIVE_UP): R.MEANINGLESS,
    (S.STOPPED, E.BROKEN): R.MEANINGLESS,
    (S.STOPPED, E.EXITED): R.MEANINGLESS,
    (S.STOPPED, E.COLD): R.MEANINGLESS,
    #
    (S.STARTING, E.WAKE): S.STARTING,
    (S.STARTING, E.PAUSE): R.BUSY,
    (S.STARTING, E.SUSPEND): R.BUSY,
    (S.STARTING, E.STOP): S.STOPPING,
    (S.STARTING, E.DONE): S.RUNNING,
    (S.STARTING, E.GIVE_UP): R.MEANINGLESS,
    (S.STARTING, E.BROKEN): S.FAILED,
    (S.STARTING, E.EXITED): S.FAILED,
    (S.STARTING, E.COLD): R.MEANINGLESS,
    #
    (S.RUNNING, E.WAKE): S.RUNNING,
    (S.RUNNING, E.PAUSE): S.PAUSING,
    (S.RUNNING, E.SUSPEND): S.SUSPENDING,
    (S.RUNNING, E.STOP): S.STOPPING,
    (S.RUNNING, E.DONE): R.MEANINGLESS,
    (S.RUNNING, E.GIVE_UP): R.MEANINGLESS,
    (S.RUNNING, E.BROKEN): S.FAILED,
    (S.RUNNING, E.EXITED): S.STOPPED,
    (S.RUNNING, E.COLD): R.MEANINGLESS,
    #
    (S.PAUSING, E.WAKE): S.PAUSING,
    (S.PAUSING, E.PAUSE): S.PAUSING,
    (S.PAUSING, E.SUSPEND): R.BUSY,
    (S.PAUSING, E.STOP): R.BUSY,
    (S.PAUSING, E.DONE): S.PAUSED,
    (S.PAUSING, E.GIVE_UP): S.RUNNING,
    (S.PAUSING, E.BROKEN): S.FAILED,
    (S.PAUSING, E.EXITED): S.FAILED,
    (S.PAUSING, E.COLD): R.MEANINGLESS,
    #
    (S.PAUSED, E.WAKE): S.RESUMING,
    (S.PAUSED, E.PAUSE): S.PAUSED,
    (S.PAUSED, E.SUSPEND): S.SUSPENDING,
    (S.PAUSED, E.STOP): S.STOPPING,
    (S.PAUSED, E.DONE): R.MEANINGLESS,
    (S.PAUSED, E.GIVE_UP): R.MEANINGLESS,
    (S.PAUSED, E.BROKEN): S.FAILED,
    (S.PAUSED, E.EXITED): S.FAILED,
    (S.PAUSED, E.COLD): R.MEANINGLESS,
    #
    (S.SUSPENDING, E.WAKE): S.SUSPENDING,
    (S.SUSPENDING, E.PAUSE): R.BUSY,
    (S.SUSPENDING, E.SUSPEND): S.SUSPENDING,
    (S.SUSPENDING, E.STOP): R.BUSY,
    (S.SUSPENDING, E.DONE): S.SUSPENDED,
    (S.SUSPENDING, E.GIVE_UP): S.RUNNING,
    (S.SUSPENDING, E.BROKEN): S.FAILED,
    (S.SUSPENDING, E.EXITED): S.FAILED,
    (S.SUSPENDING, E.COLD): R.MEANINGLESS,
    #
    (S.SUSPENDED, E.WAKE): S.RESUMING,
    (S.SUSPENDED, E.PAUSE): R.ASLEEP,
    (S.SUSPENDED, E.SUSPEND): S.SUSPENDED,
    (S.SUSPENDED, E.STOP): S.STOPPED,
    (S.SUSPENDED, E.DONE): R.MEANINGLESS,
    (S.SUSPENDED, E.GIVE_UP): R.MEANINGLESS,
    (S.SUSPENDED, E.BROKEN): R.MEANINGLESS,
    (S.SUSPENDED, E.EXITED): R.MEANINGLESS,
    (S.SUSPENDED, E.COLD): S.STOPPED,
    #
    (S.RESUMING, E.WAKE): S.RESUMING,
    (S.RESUMING, E.PAUSE): R.BUSY,
    (S.RESUMING, E.SUSPEND): R.BUSY,
    (S.RESUMING, E.STOP): S.STOPPING,
    (S.RESUMING, E.DONE): S.RUNNING,
    (S.RESUMING, E.GIVE_UP): R.MEANINGLESS,
    (S.RESUMING, E.BROKEN): S.FAILED,
    (S.RESUMING, E.EXITED): S.FAILED,
    (S.RESUMING, E.COLD): S.STARTING,
    #
    (S.STOPPING, E.WAKE): S.STOPPING,
    (S.STOPPING, E.PAUSE): R.BUSY,
    (S.STOPPING, E.SUSPEND): R.BUSY,
    (S.STOPPING, E.STOP): S.STOPPING,
    (S.STOPPING, E.DONE): S.STOPPED,
    (S.STOPPING, E.GIVE_UP): R.MEANINGLESS,
    (S.STOPPING, E.BROKEN): S.FAILED,
    (S.STOPPING, E.EXITED): S.STOPPED,
    (S.STOPPING, E.COLD): R.MEANINGLESS,
    #
    (S.FAILED, E.WAKE): S.STARTING,
    (S.FAILED, E.PAUSE): R.NOT_RUNNING,
    (S.FAILED, E.SUSPEND): R.NOT_RUNNING,
    (S.FAILED, E.STOP): S.STOPPED,
    (S.FAILED, E.DONE): R.MEANINGLESS,
    (S.FAILED, E.GIVE_UP): R.MEANINGLESS,
    (S.FAILED, E.BROKEN): S.FAILED,
    (S.FAILED, E.EXITED): R.MEANINGLESS,
    (S.FAILED, E.COLD): R.MEANINGLESS,
}


def next_state(state: State, event: Event) -> State:
    """The state after `event`. Raises `NotRunning` or `UserError` with the reason where the table refuses it."""
    outcome = TRANSITIONS[state, event]
    if isinstance(outcome, State):
        return outcome
    if outcome is Refusal.NOT_RUNNING:
        raise NotRunning(f"Cannot {event}: {outcome}.", "Start it with `snowshed start`.")
    raise UserError(f"Cannot {event} a builder that is {state}: {outcome}.", "Look at `snowshed status` and try again.")
