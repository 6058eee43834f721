"""The lifecycle's table as a Mermaid state diagram, for the documentation."""

from __future__ import annotations

from .lifecycle import TRANSITIONS, State


def mermaid() -> str:
    """Every transition that changes the state, the events that lead to the same place on one arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (start, event), end in TRANSITIONS.items():
        if isinstance(end, State) and end is not start:
            arrows.setdefault((start, end), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {State.STOPPED}"]
    lines += [f"    {start} --> {end}: {', '.join(events)}" for (start, end), events in arrows.items()]
    return "\n".join(lines) + "\n"
