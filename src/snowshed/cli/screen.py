"""A screen that is drawn anew when something changes, and a terminal that is left as it was found.

What ends it: q, Ctrl-C, SIGTERM, a terminal that goes away. What draws it anew: a sample, a window that changes its
size. All of that arrives on one pipe.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live

from ..paths import BuilderPaths
from .dashboard import dashboard
from .follow import Following
from .launch import ended_like_ctrl_c

LOOK_FOR_BUILDERS = 2.0
"""Seconds between two looks for builders that are new, of which no event tells, and for the clock in the heading."""

ENDING = (b"q", b"Q", b"\x1b", b"")
"""Keys that end it; nothing at all is a terminal that went away."""


def watch(builders: Callable[[], Sequence[BuilderPaths]], interval: float) -> int:
    """Show `builders` on the terminal of standard output until q or Ctrl-C."""
    following = Following(interval)
    console = Console()
    try:
        with (
            ended_like_ctrl_c(),
            _woken_by_signals(following.wakeup),
            _keys() as keys,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            _show(live, console, following, builders, keys)
    except KeyboardInterrupt:
        pass  # how one leaves such a screen
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise BrokenPipeError from error  # the terminal is gone: nobody reads what is left to say
    finally:
        following.close()
    return 0


def _show(
    live: Live,
    console: Console,
    following: Following,
    builders: Callable[[], Sequence[BuilderPaths]],
    keys: int | None,
) -> None:
    looked = 0.0
    while True:
        if time.monotonic() - looked > LOOK_FOR_BUILDERS:
            following.follow(builders())
            looked = time.monotonic()
        following.take()
        live.update(dashboard(list(following.figures.values()), console), refresh=True)
        ready = select.select([following.readable, *([] if keys is None else [keys])], [], [], LOOK_FOR_BUILDERS)[0]
        if keys in ready and os.read(keys, 64) in ENDING:
            return


@contextmanager
def _woken_by_signals(descriptor: int) -> Iterator[None]:
    """Write a byte to `descriptor` when the window changes its size."""
    old = signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
    descriptor_before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor_before)
        signal.signal(signal.SIGWINCH, old)


@contextmanager
def _keys() -> Iterator[int | None]:
    """The descriptor from which keys come one by one, unseen; None where there is no keyboard."""
    if not sys.stdin.isatty():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    finally:
        with suppress(termios.error):  # a terminal that is gone has nothing to get back
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
