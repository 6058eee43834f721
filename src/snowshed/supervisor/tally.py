"""What happened to a builder since its supervisor began, counted from the journal. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..model.lifecycle import State
from ..model.wire import Happening

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Seconds: a pause ends in the first, a resume in the middle, a boot under emulation in the last ones."""

HOW = {State.STOPPED: "boot", State.FAILED: "boot", State.SUSPENDED: "resume", State.PAUSED: "unpause"}
"""What a wake is, by the state that it began in."""


@dataclass
class Durations:
    """A histogram: how many took up to so many seconds, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[sum(seconds > bound for bound in BUCKETS)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """The upper bounds as text, each with how many took no longer."""
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        return [(bound, float(sum(self.counts[: number + 1]))) for number, bound in enumerate(bounds)]


class Tally:
    """Counts states; `state` is the one to begin with."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._woken: tuple[str, float] | None = None
        self.wakes: dict[str, Durations] = {how: Durations() for how in dict.fromkeys(HOW.values())}
        """Those that succeeded, by how."""
        self.entered: Counter[State] = Counter()

    def heard(self, happening: Happening) -> None:
        """Count in what the journal tells."""
        if happening.kind != "state":
            return
        before, self._state = self._state, State(happening.state)
        if self._state in (State.STARTING, State.RESUMING) and before in HOW:
            self._woken = HOW[before], happening.at
        elif self._state is State.STARTING and self._woken:
            self._woken = "boot", self._woken[1]  # what was to be resumed did not fit
        elif self._state is State.RUNNING and self._woken:
            how, since = self._woken
            self.wakes[how].add(max(0.0, happening.at - since))
            self._woken = None
        elif self._state not in (State.STARTING, State.RESUMING):
            self._woken = None
        self.entered[self._state] += 1
