"""Starting a supervisor: what it is handed, how its first word is awaited, and how it is taken back."""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from .. import process
from ..config import BuilderConfig
from ..control.client import Control
from ..errors import GuestError, SnowshedError, from_json
from ..paths import BuilderPaths

READY_DEADLINE = 60.0
"""Seconds for a supervisor to listen: a Python program that opens two sockets, on a machine that may be busy."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

GIVE_UP_GRACE = 5.0
"""Seconds for a guest that nobody has used yet to shut down, when its start is taken back."""


def argv(paths: BuilderPaths, config_fd: int, *, on_demand: bool = False, ready_fd: int | None = None) -> list[str]:
    """The command line of a supervisor. ``-P``: nothing in the current directory is taken for a module."""
    words = [sys.executable, "-P", "-m", "snowshed.supervisor"]
    words += ["--name", paths.name, "--state-dir", str(paths.state), "--config-fd", str(config_fd)]
    if ready_fd is not None:
        words += ["--ready-fd", str(ready_fd)]
    return words + (["--on-demand"] if on_demand else [])


def order(paths: BuilderPaths, config: BuilderConfig, image: str) -> BinaryIO:
    """What a supervisor reads from its ``--config-fd``, as an open file without a name, at its beginning."""
    file = tempfile.TemporaryFile(dir=paths.state)  # noqa: SIM115 - its descriptor is what is handed over
    try:
        file.write(msgspec.json.encode({"config": config, "image": image}))
        file.seek(0)
    except OSError as error:
        error.filename = str(paths.state)  # a full disk's names none
        raise
    return file


class Supervisor:
    """A supervisor that we start, until it is on its own. What was begun can be taken back at any moment."""

    def __init__(self, paths: BuilderPaths) -> None:
        self._paths = paths
        self._pid: int | None = None
        self._ready = -1
        self._listens = False

    def start(self, config: BuilderConfig, image: str) -> None:
        """Start it, detached, its words in the supervisor's log. A Ctrl-C meanwhile counts afterwards."""
        with order(self._paths, config, image) as handed, _interrupted_later():
            self._ready, ready_there = os.pipe()
            try:
                self._pid = process.detach(
                    argv(self._paths, handed.fileno(), ready_fd=ready_there),
                    log=self._paths.supervisor_log,
                    keep=(handed.fileno(), ready_there),
                )
            finally:
                os.close(ready_there)

    def await_ready(self) -> None:
        """Return when it can be talked to. Raises the error that it ended with."""
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._ready], [], [], READY_DEADLINE)[0]:
                raise GuestError(
                    f"The supervisor did not get ready within {READY_DEADLINE:.0f} seconds.", "See `snowshed logs`."
                )
            more = os.read(self._ready, 1 << 16)
            if not more:
                raise GuestError(
                    f"The supervisor ended at once: {_last_words(self._paths.supervisor_log)}", "See `snowshed logs`."
                )
            line += more
        if line != b"ready\n":
            raise from_json(msgspec.json.decode(line))
        self._listens = True

    def take_back(self) -> None:
        """End it, whatever it is doing, and return when nothing of it is left. Not to be interrupted."""
        if self._pid is None:
            return
        before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
        try:
            if not (self._listens and self._stops_when_asked(self._pid)):
                process.end_detached(self._pid, 15.0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._pid = None

    def _stops_when_asked(self, pid: int) -> bool:
        """Before ours listens, whoever answers is another's, which somebody else started at the same time."""
        with suppress(SnowshedError), Control(self._paths.control) as control:
            control.request("stop", force=False, grace=GIVE_UP_GRACE, silence=GIVE_UP_GRACE + 15.0)
            return process.await_detached(pid, 15.0)
        return False


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """While the block runs, SIGTERM and a terminal that goes away interrupt it as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Let whatever interrupts wait for the end of the block."""
    noted: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: noted.append(number)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if noted:
        raise KeyboardInterrupt


def _last_words(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
    return "it said nothing."
