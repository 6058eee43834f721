from __future__ import annotations

from snowshed.supervisor.backoff import Backoff


def test_waits_grow_to_a_minute_and_start_over_after_a_success() -> None:
    backoff = Backoff()
    assert backoff.remaining(0) == 0
    waits = []
    for _ in range(8):
        backoff.failed(100.0)
        waits.append(backoff.remaining(100.0))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.remaining(130.0) == 30
    assert backoff.remaining(1000.0) == 0
    backoff.succeeded()
    backoff.failed(0.0)
    assert backoff.remaining(0.0) == 1
