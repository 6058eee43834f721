"""A builder as those who watch it see it: its last sample, and what the ones before it say about speed. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

KEPT = 240
"""Values of each graph: more than a terminal is wide."""

BLOCKS = "▁▂▃▄▅▆▇█"
LETTERS = "_.-:=+*#"
"""Where the terminal does not know blocks."""

SHORTEST = 0.2
"""Seconds between two samples from which a speed can be told."""


class Figures:
    """What is known of one builder. `processor` is in processors (1.0: one is busy), `traffic` in bytes a second."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.report: dict[str, Any] = {"name": name, "running": False, "state": "unknown", "notices": []}
        self.builds: list[dict[str, Any]] | None = None
        self.processor: float | None = None
        self.traffic: float | None = None
        self.processors: deque[float] = deque(maxlen=KEPT)
        self.memories: deque[float] = deque(maxlen=KEPT)
        self.traffics: deque[float] = deque(maxlen=KEPT)
        self.samples = 0
        self._speeds: dict[str, float] = {}
        self._before: dict[str, Any] | None = None

    def sampled(self, sample: dict[str, Any]) -> None:
        """Take in a sample of the supervisor's."""
        self.report = sample["report"]
        self.builds = sample["builds"]
        self.samples += 1
        if self._before is not None and sample["at"] - self._before["at"] < SHORTEST:
            return
        self._measure(sample)
        self._before = sample

    def _measure(self, sample: dict[str, Any]) -> None:
        before = self._before or sample
        seconds = sample["at"] - before["at"]
        self.processor = self.traffic = None
        if seconds > 0:
            self.processor = _speed(before["processor"], sample["processor"], seconds)
            bytes_now, bytes_then = (each["toGuest"] + each["fromGuest"] for each in (sample, before))
            self.traffic = _speed(bytes_then, bytes_now, seconds)
        self._speeds = _speeds_of_builds(before["builds"] or (), sample["builds"] or (), seconds)
        if seconds > 0:
            self.processors.append(self.processor or 0.0)
            self.traffics.append(self.traffic or 0.0)
        self.memories.append((sample["report"]["memory"] or {}).get("resident") or 0.0)

    def speed(self, build: dict[str, Any]) -> float | None:
        """How many processors a build keeps busy."""
        return self._speeds.get(build["name"])

    def rests(self, report: dict[str, Any]) -> None:
        """Take in the report of a builder that nobody serves."""
        self.report = report
        self.builds = self.processor = self.traffic = self._before = None
        self.samples += 1
        for graph in (self.processors, self.memories, self.traffics):
            graph.append(0.0)


def _speed(then: float | None, now: float | None, seconds: float) -> float | None:
    """What grows, a second; None where it was not there before, or began anew with another guest."""
    if then is None or now is None or now < then:
        return None
    return (now - then) / seconds


def _speeds_of_builds(
    then: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]], seconds: float
) -> dict[str, float]:
    known = {build["name"]: build for build in then}
    found = {}
    for build in now:
        before = known.get(build["name"])
        speed = _speed(before["processor"] if before else None, build["processor"], seconds) if seconds > 0 else None
        if speed is None and build["seconds"] > 0:
            speed = build["processor"] / build["seconds"]  # since it began
        if speed is not None:
            found[build["name"]] = speed
    return found


def graph(values: Sequence[float], width: int, top: float, marks: str = BLOCKS) -> str:
    """The last `width` of `values` as a line of bars, the newest at the right; `top` is the height of a full one."""
    shown = list(values)[-width:] if width > 0 else []
    if top <= 0:
        top = max(shown, default=0.0) or 1.0
    bars = [marks[min(len(marks) - 1, max(0, round(value / top * (len(marks) - 1))))] for value in shown]
    return "".join(bars).rjust(max(width, 0))
