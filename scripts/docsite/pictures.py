"""The pictures of the documentation: the life of a builder, from its table, and the processes of a running one."""

from __future__ import annotations

from typing import Any

from snowshed.model.lifecycle import TRANSITIONS, State

from .picture import Arrow, Box, draw

PLACES = {
    State.FAILED: (70, 110),
    State.STOPPED: (70, 230),
    State.STARTING: (320, 150),
    State.STOPPING: (320, 350),
    State.RUNNING: (470, 230),
    State.SUSPENDING: (640, 110),
    State.SUSPENDED: (840, 110),
    State.RESUMING: (690, 230),
    State.PAUSING: (640, 350),
    State.PAUSED: (840, 350),
}

BENT: dict[tuple[State, State], dict[str, Any]] = {
    (State.RUNNING, State.STOPPED): {"at": 0.6},
    (State.STARTING, State.STOPPING): {"at": 0.7},
    (State.RUNNING, State.SUSPENDING): {"bend": 16},
    (State.SUSPENDING, State.RUNNING): {"bend": 16},
    (State.RUNNING, State.PAUSING): {"bend": 16},
    (State.PAUSING, State.RUNNING): {"bend": 16},
    (State.PAUSED, State.SUSPENDING): {"via": (1010, 230)},
    (State.PAUSED, State.STOPPING): {"via": (580, 450)},
    (State.SUSPENDED, State.STOPPED): {"via": (330, -120)},
    (State.RESUMING, State.STARTING): {"at": 0.7},
    (State.RESUMING, State.STOPPING): {"at": 0.7},
}
"""How arrows are drawn that would cross a box if they were straight, or whose words would be in the way of others."""


def changes() -> dict[tuple[State, State], list[str]]:
    """Every change of state in the table, with the events that make it."""
    found: dict[tuple[State, State], list[str]] = {}
    for (start, event), end in TRANSITIONS.items():
        if isinstance(end, State) and end is not start:
            found.setdefault((start, end), []).append(str(event))
    return found


def lifecycle() -> str:
    """The life of a builder. What breaks leads to `failed`: those arrows are left to the table."""
    boxes = {state: Box(x, y, str(state)) for state, (x, y) in PLACES.items()}
    arrows: list[Box | Arrow] = []
    for (start, end), events in changes().items():
        if end is not State.FAILED:
            arrows.append(Arrow(boxes[start], boxes[end], ", ".join(events), **BENT.get((start, end), {})))
    return draw("The life of a builder", 940, 420, [*boxes.values(), *arrows])


def table() -> str:
    """All of it, as a table: what each event makes of each state. Empty where it does not apply."""
    rows = ["| from | to | by |", "|---|---|---|"]
    for (start, end), events in changes().items():
        rows.append(f"| {start} | {end} | {', '.join(events)} |")
    return "\n".join(rows)


def processes() -> str:
    """Who talks to whom, from a build to the guest."""
    nix = Box(90, 60, "nix, ssh", 130)
    command = Box(90, 190, "snowshed\nstatus, stop …", 130, 52)
    service = Box(90, 310, "launchd, systemd", 140, 36, soft=True)
    forwarder = Box(330, 60, "forwarder", 120)
    supervisor = Box(330, 190, "supervisor\none per builder", 140, 52)
    driver = Box(540, 190, "driver", 90)
    hypervisor = Box(700, 190, "hypervisor\nQEMU, vfkit, vz …", 150, 52)
    guest = Box(700, 60, "guest\nsshd, nix-daemon", 150, 52)
    shares = Box(540, 310, "virtiofsd", 110, 36, soft=True)
    files = Box(330, 310, "state directory\ndisk, keys, journal", 150, 52, soft=True)
    parts: list[Box | Arrow] = [nix, command, service, forwarder, supervisor, driver, hypervisor, guest, shares, files]
    parts += [
        Arrow(nix, forwarder, "127.0.0.1:31222"),
        Arrow(forwarder, guest, "vsock, or a forwarded port"),
        Arrow(command, supervisor, "control.sock"),
        Arrow(service, supervisor, "the listening\nsocket", 0, 0.45),
        Arrow(supervisor, forwarder, "wakes, holds"),
        Arrow(supervisor, driver),
        Arrow(driver, hypervisor, ""),
        Arrow(hypervisor, guest),
        Arrow(driver, shares),
        Arrow(supervisor, files),
    ]
    return draw("The processes of a running builder", 790, 350, parts)
