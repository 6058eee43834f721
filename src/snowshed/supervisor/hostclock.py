"""Noticing that the host's clock jumped: it was set, or the host slept.

Linux tells: a timer on ``CLOCK_REALTIME`` with ``TFD_TIMER_CANCEL_ON_SET`` is cancelled when that clock changes
discontinuously, a resume from sleep included (timerfd_create(2)). Elsewhere there is no event that an unbundled
program could have; the difference between wall and monotonic clock is compared every `LOOK_EVERY` seconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

LOOK_EVERY = 15.0
"""Seconds between two looks where nothing tells."""
JUMP = 1.0
"""Seconds by which wall and monotonic clock may drift apart between two looks without meaning anything."""

_ABSTIME, _CANCEL_ON_SET = 1, 2
_CLOEXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_NEVER = (1 << 31) - 1


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: interval and value, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


async def watch(jumped: Callable[[], Awaitable[None]]) -> None:
    """Await `jumped` after every jump of the host's clock, until cancelled."""
    if sys.platform == "linux":
        await _watch_timer(jumped)
    else:
        await _compare_clocks(jumped)


async def _watch_timer(jumped: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    timer = _timer()
    cancelled = asyncio.Event()
    loop.add_reader(timer, cancelled.set)
    try:
        while True:
            if _set(timer):
                await cancelled.wait()
                cancelled.clear()
                with suppress(OSError):  # ECANCELED is the news
                    os.read(timer, 8)
            await jumped()
    finally:
        loop.remove_reader(timer)
        os.close(timer)


def _timer() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, _CLOEXEC | _NONBLOCK)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return int(timer)


def _set(timer: int) -> bool:
    """Arm the timer. False: the clock was set just now, which the kernel tells only once, here."""
    libc = ctypes.CDLL(None, use_errno=True)
    when = _TimerSpec(0, 0, _NEVER, 0)
    if libc.timerfd_settime(timer, _ABSTIME | _CANCEL_ON_SET, ctypes.byref(when), None) == 0:
        return True
    if ctypes.get_errno() != errno.ECANCELED:
        raise OSError(ctypes.get_errno(), "timerfd_settime")
    return False


async def _compare_clocks(jumped: Callable[[], Awaitable[None]]) -> None:
    before = time.time() - time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = time.time() - time.monotonic()
        if abs(now - before) > JUMP:
            await jumped()
        before = now
