"""Leases and two deadlines: when nobody has needed the guest for a while, and when nobody needs it any more.

A lease is anything that needs the guest awake: a connection, a command of ours, a running build. While there is one,
no deadline exists; when the last one ends, each is set once. Nothing is polled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET = 60.0
"""Seconds without a lease after which the next build is taken to be far away."""


class Leases:
    """Who needs the guest, and what is done when nobody has for `timeout` seconds (0: nothing, ever), and for `QUIET`.

    `arrivals` counts all leases there ever were: whoever compares it sees that somebody came, even if gone again.
    """

    def __init__(self, timeout: float, expired: Callable[[], None], quiet: Callable[[], None] = lambda: None) -> None:
        self.timeout = timeout
        self._expired = expired
        self._on_quiet = quiet
        self._quiet: asyncio.TimerHandle | None = None
        self._held: Counter[str] = Counter()
        self._deadline: asyncio.TimerHandle | None = None
        self._armed = False
        self.arrivals = 0

    @contextmanager
    def hold(self, reason: str) -> Iterator[None]:
        """Keep the guest needed while the context lasts. `reason` is shown by `status`."""
        self.arrivals += 1
        self._held[reason] += 1
        self._cancel()
        try:
            yield
        finally:
            self._held[reason] -= 1
            if not self._held[reason]:
                del self._held[reason]
            self._set()

    def arm(self) -> None:
        """The guest runs: count the idle time from now on."""
        self._armed = True
        self._set()

    def disarm(self) -> None:
        """The guest does not run: there is nothing to be idle."""
        self._armed = False
        self._cancel()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Who holds leases now, with their number where there are several."""
        return tuple(f"{reason} ({n})" if n > 1 else reason for reason, n in sorted(self._held.items()))

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def remaining(self) -> float | None:
        """Seconds to the deadline, None where there is none."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline.when() - asyncio.get_running_loop().time())

    def _set(self) -> None:
        self._cancel()
        if not self._armed or self._held:
            return
        loop = asyncio.get_running_loop()
        self._quiet = loop.call_later(QUIET, self._on_quiet)
        if self.timeout > 0:
            self._deadline = loop.call_later(self.timeout, self._expire)

    def _cancel(self) -> None:
        for timer in (self._deadline, self._quiet):
            if timer is not None:
                timer.cancel()
        self._deadline = self._quiet = None

    def _expire(self) -> None:
        self._deadline = None
        self._expired()
