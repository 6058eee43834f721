"""How long to wait before trying again what failed."""

from __future__ import annotations


class Backoff:
    """`first`, twice, four times … up to `longest` seconds after a failure. Times are of one monotonic clock."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0
        self._not_before = 0.0

    def failed(self, now: float) -> None:
        self._not_before = now + min(self._longest, self._first * 2**self._failures)
        self._failures += 1

    def succeeded(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    def remaining(self, now: float) -> float:
        """Seconds to wait from `now` on before the next attempt."""
        return max(0.0, self._not_before - now)
