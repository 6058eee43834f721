"""Following builders: a thread for each reads what its supervisor sends, and whoever draws is told through a pipe."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ..control.client import Control, Gone
from ..errors import NotRunning, SnowshedError, UserError
from ..paths import BuilderPaths
from .figures import Figures
from .report import from_files

SILENCE = 20.0
"""Seconds beyond the interval for a supervisor to send the next sample."""


class Following:
    """Follows builders until `close`. `figures` is for the thread that draws: it takes in what came by `take`."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._news: list[tuple[str, str, dict[str, Any]]] = []
        self._threads: dict[str, threading.Thread] = {}
        self.figures: dict[str, Figures] = {}
        self.readable, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self.readable, False)

    @property
    def wakeup(self) -> int:
        """The end of the pipe to write a byte to (`signal.set_wakeup_fd`)."""
        return self._wake

    def follow(self, builders: Iterable[BuilderPaths]) -> None:
        """Follow these from now on, and no others."""
        wanted = {paths.name: paths for paths in builders}
        for name in set(self.figures) - set(wanted):
            del self.figures[name]
        for name, paths in wanted.items():
            self.figures.setdefault(name, Figures(name))
            if name not in self._threads:
                thread = threading.Thread(target=self._follow, args=(paths,), name=f"follow {name}", daemon=True)
                self._threads[name] = thread
                thread.start()

    def take(self) -> bool:
        """Take in what has come; whether anything had."""
        with suppress(BlockingIOError):
            while os.read(self.readable, 4096):
                pass
        with self._lock:
            news, self._news = self._news, []
        for name, kind, data in news:
            if name in self.figures:
                figures = self.figures[name]
                figures.sampled(data) if kind == "sample" else figures.rests(data)
        return bool(news)

    def close(self) -> None:
        """Let go. The threads end by themselves, or with us."""
        self._end.set()

    def _tell(self, name: str, kind: str, data: dict[str, Any]) -> None:
        with self._lock:
            self._news.append((name, kind, data))
        with suppress(OSError):  # full: it will be read anyway
            os.write(self._wake, b".")

    def _follow(self, paths: BuilderPaths) -> None:
        """No event tells that a supervisor comes to life: without one, it is looked for again and again."""
        while not self._end.is_set():
            self._attend(paths, lambda data: self._tell(paths.name, "sample", data))
            self._end.wait(self._interval)

    def _attend(self, paths: BuilderPaths, sampled: Callable[[dict[str, Any]], None]) -> None:
        def each(event: dict[str, Any]) -> None:
            if event.get("kind") == "sample":
                sampled(event)
            if self._end.is_set():
                raise _EndedError

        try:
            with Control(paths.control) as control:
                control.request("watch", each=each, silence=self._interval + SILENCE, interval=self._interval)
        except _EndedError:
            pass
        except (NotRunning, Gone):
            self._tell(paths.name, "report", from_files(paths))
        except SnowshedError as error:
            self._tell(paths.name, "report", self._asked(paths, error))

    def _asked(self, paths: BuilderPaths, error: SnowshedError) -> dict[str, Any]:
        """The report of a builder that cannot be watched: an older supervisor still says how it is."""
        if isinstance(error, UserError):
            with suppress(SnowshedError), Control(paths.control) as control:
                return control.report()
        unknown = {"name": paths.name, "running": False, "state": "unknown", "notices": [error.message]}
        return {**from_files(paths), **unknown}


class _EndedError(Exception):
    """Nobody watches any more."""
