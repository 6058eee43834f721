from __future__ import annotations

from itertools import product

import pytest

from snowshed.errors import NotRunning, UserError
from snowshed.model.lifecycle import HAS_VM, TRANSITIONAL, TRANSITIONS, Event, Refusal, State, next_state


def test_every_event_in_every_state_has_an_answer() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))


def test_every_state_is_reached_from_stopped() -> None:
    reached = {State.STOPPED}
    while True:
        more = {to for (frm, _), to in TRANSITIONS.items() if frm in reached and isinstance(to, State)} - reached
        if not more:
            break
        reached |= more
    assert reached == set(State)


@pytest.mark.parametrize("state", State)
def test_a_wish_always_leads_on_to_running(state: State) -> None:
    """From anywhere there is a way to running by wakes, and by operations that end in either way."""
    seen, frontier = {state}, {state}
    while frontier:
        frontier = {
            to
            for (frm, event), to in TRANSITIONS.items()
            if frm in frontier and isinstance(to, State) and event in (Event.WAKE, Event.DONE, Event.BROKEN)
        } - seen
        seen |= frontier
    assert State.RUNNING in seen


@pytest.mark.parametrize("state", sorted(TRANSITIONAL))
def test_an_operation_at_work_can_fail_and_can_lose_its_vm(state: State) -> None:
    assert next_state(state, Event.BROKEN) is State.FAILED
    assert next_state(state, Event.EXITED) in (State.FAILED, State.STOPPED)


@pytest.mark.parametrize("state", sorted(set(State) - TRANSITIONAL))
def test_nothing_finishes_where_nothing_is_at_work(state: State) -> None:
    assert TRANSITIONS[state, Event.DONE] is Refusal.MEANINGLESS
    assert TRANSITIONS[state, Event.GIVE_UP] is Refusal.MEANINGLESS


@pytest.mark.parametrize("state", sorted(set(State) - HAS_VM))
def test_what_has_no_vm_cannot_lose_it(state: State) -> None:
    assert TRANSITIONS[state, Event.EXITED] is Refusal.MEANINGLESS


@pytest.mark.parametrize("state", State)
def test_a_stop_is_refused_only_while_the_vm_is_being_put_to_sleep(state: State) -> None:
    refused = isinstance(TRANSITIONS[state, Event.STOP], Refusal)
    assert refused == (state in (State.PAUSING, State.SUSPENDING))


def test_refusals_say_why_and_what_to_do() -> None:
    with pytest.raises(NotRunning, match="not running") as stopped:
        next_state(State.STOPPED, Event.SUSPEND)
    with pytest.raises(UserError, match="another operation") as busy:
        next_state(State.STARTING, Event.PAUSE)
    assert "snowshed start" in stopped.value.hint
    assert "status" in busy.value.hint
