"""The journal: what happened to a builder, for three readers.

Each event is a line of ``events.jsonl`` (for programs), a line on standard error (for people; `start` directs it into
``supervisor.log``, systemd and launchd keep it), and goes to every subscriber of the control socket.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import msgspec

from ..model.wire import Happening
from .own_log import keep_small

STANDARD_ERROR = 2
ROTATE_AT = 10 << 20
"""Bytes after which a log is renamed to ``<name>.1``, replacing the one before."""

BACKLOG = 1000
"""Events that a subscriber may lag behind before it loses the oldest ones."""

REMEMBERED = 1 << 20
"""Bytes of the past that are read when somebody asks for it: thousands of events, in a few milliseconds."""


class RotatingFile:
    """An append-only file that is renamed away at `ROTATE_AT` bytes. A full disk loses lines, never the builder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._descriptor = self._open()

    def _open(self) -> int:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(descriptor).st_size
        return descriptor

    def write(self, data: bytes) -> None:
        try:
            if self._size + len(data) > ROTATE_AT:
                os.close(self._descriptor)
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._descriptor = self._open()
            self._size += os.write(self._descriptor, data)
        except OSError as error:
            print(f"{self._path.name} cannot be written: {error}", file=sys.stderr)

    def tail(self, size: int) -> bytes:
        """The last `size` bytes, those of the file before this one included."""
        now = _end_of(self._path, size)
        return _end_of(self._path.with_name(self._path.name + ".1"), size - len(now)) + now

    def close(self) -> None:
        os.close(self._descriptor)


def _end_of(file: Path, size: int) -> bytes:
    with suppress(OSError), file.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
        return stream.read()
    return b""


Feed = asyncio.Queue[Happening | None]
"""What a subscriber reads; None where somebody decided that it has read enough."""


def offer(feed: Feed, item: Happening | None) -> None:
    """Put `item` into `feed`, in place of the oldest one where a slow reader has let it fill up."""
    if feed.full():
        feed.get_nowait()
    feed.put_nowait(item)


class Journal:
    """Where everything that happens is said."""

    def __init__(self, events: Path, log: TextIO | None = None) -> None:
        self._file = RotatingFile(events)
        self._log = sys.stderr if log is None else log
        self._is_ours = log is None
        self._subscribers: set[Feed] = set()
        self.listeners: list[Callable[[Happening], None]] = []
        """Who is told of everything at once."""

    def add(self, happening: Happening) -> None:
        """Record one event."""
        self._file.write(msgspec.json.encode(happening) + b"\n")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(happening.at))
        level = "" if happening.level == "info" else f"{happening.level}: "
        print(f"{stamp} {level}{happening.text}", file=self._log, flush=True)
        if self._is_ours:
            keep_small(STANDARD_ERROR, ROTATE_AT)
        for feed in self._subscribers:
            offer(feed, happening)
        for listener in self.listeners:
            listener(happening)

    def say(self, text: str, *, level: str = "info") -> None:
        """Record a sentence for people."""
        self.add(Happening(at=time.time(), kind="message", text=text, level=level))

    def state(self, state: str, text: str = "") -> None:
        """Record that the builder is in another state now."""
        said = text or f"The builder {'has' if state == 'failed' else 'is'} {state}."
        self.add(Happening(at=time.time(), kind="state", text=said, state=state))

    def stage(self, stage: str, seconds: float) -> None:
        """Record that a wake got to `stage`, `seconds` after it began."""
        text = f"Reached {stage} after {seconds:.2f} s."
        self.add(Happening(at=time.time(), kind="stage", text=text, stage=stage, seconds=seconds))

    def progress(self, text: str, fraction: float) -> None:
        """Tell whoever waits how far something has come. Nobody keeps that."""
        for feed in self._subscribers:
            offer(feed, Happening(at=time.time(), kind="progress", text=text, fraction=fraction))

    def past(self, lines: int, kinds: Collection[str] = ()) -> list[Happening]:
        """The last `lines` events of `kinds` (none: of every kind), as far as `REMEMBERED` bytes go back."""
        found = []
        for line in self._file.tail(REMEMBERED).splitlines():
            with suppress(msgspec.MsgspecError):  # cut off, or damaged by a power cut
                happening = msgspec.json.decode(line, type=Happening)
                if not kinds or happening.kind in kinds:
                    found.append(happening)
        return found[max(0, len(found) - lines) :]

    @contextmanager
    def follow(self) -> Iterator[Feed]:
        """A queue of all that happens from now on."""
        feed: Feed = asyncio.Queue(BACKLOG)
        self._subscribers.add(feed)
        try:
            yield feed
        finally:
            self._subscribers.discard(feed)

    def close(self) -> None:
        self._file.close()
