"""What people see: the only module that draws. Colour and movement only on a terminal, and never with NO_COLOR."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ..units import counted, format_duration, format_size

if TYPE_CHECKING:
    from .figures import Figures

RECENT = 5.0
"""Seconds within which a figure of the guest's counts as one of now."""

COLOURS = {"running": "32", "failed": "31", "stopped": "2", "suspended": "36", "paused": "36"}


def moves(stream: TextIO) -> bool:
    """Whether what is drawn on `stream` may move: it is a terminal that can do that."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "")


def coloured(stream: TextIO) -> bool:
    return moves(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, code: str, stream: TextIO) -> str:
    """`text` in an ANSI style where `stream` shows it."""
    return f"\033[{code}m{text}\033[0m" if coloured(stream) and code else text


def out(text: str) -> None:
    """A result."""
    print(text)


def note(text: str) -> None:
    """A sentence for the person who watches."""
    print(text, file=sys.stderr)


def table(rows: Iterable[Sequence[str]]) -> str:
    """`rows` in columns two blanks apart, each as wide as it has to be."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def snapshot(figures: Sequence[Figures]) -> str:
    """What `top` shows, as text that does not move: a line for each builder, and one for each build."""
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "SYSTEM", "CPU", "MEMORY", "DISK", "SSH", "BUILDS")]
    rows += [_row(each) for each in figures]
    builds = [(each, build) for each in figures for build in each.builds or ()]
    lines = [table(rows)]
    if builds:
        lines += ["", table([("BUILD", "ON", "SINCE", "CPU", "MEMORY"), *(_build(*found) for found in builds)])]
    lines += [f"! {each.name}: {notice}" for each in figures for notice in each.report["notices"]]
    return "\n".join(lines)


def _row(figures: Figures) -> tuple[str, ...]:
    report = figures.report
    memory, disk = report.get("memory") or {}, report.get("disk")
    return (
        figures.name,
        report["state"],
        report.get("system") or "-",
        percent(figures.processor),
        format_size(memory["resident"]) if memory.get("resident") else "-",
        format_size(disk["allocated"]) if disk else "-",
        str(report.get("connections") or "-"),
        "-" if figures.builds is None else str(len(figures.builds)),
    )


def _build(figures: Figures, build: dict[str, Any]) -> tuple[str, ...]:
    speed, memory = percent(figures.speed(build)), format_size(build["memory"])
    return build["name"], figures.name, format_duration(build["seconds"]), speed, memory


def percent(processors: float | None) -> str:
    """How many processors are busy, in hundredths of one."""
    return "-" if processors is None else f"{processors:.0%}"


def status(report: dict[str, Any], now: float | None = None) -> str:
    """A report for people, a fact a line."""
    facts = [(name, text) for name, text in _facts(report, time.time() if now is None else now) if text]
    state = paint(report["state"], COLOURS.get(report["state"], "33"), sys.stdout)
    lines = [f"{report['name']} is {state}"]
    lines += ["  " + line for line in table(facts).splitlines()]
    lines += [f"  ! {text}" for text in report["notices"]]
    lines += _failure(report["failure"])
    return "\n".join(lines)


def _facts(report: dict[str, Any], now: float) -> Iterator[tuple[str, str]]:
    machine = [report["system"], cores(report["cores"]), runs_on(report)]
    yield "machine", ", ".join(part for part in machine if part)
    yield "driver", report.get("driverReason", "")
    yield "memory", _memory(report["memory"])
    yield "disk", _disk(report["disk"], now)
    yield "ssh", f"127.0.0.1:{report['port']}{_connections(report)}" if report["port"] else ""
    yield "up", _since(report, now)
    yield "systems", _systems(report)
    yield "features", ", ".join(report["features"])
    yield "idle", _idle(report["idle"])
    yield "no suspend", report["suspendBlocker"]
    yield "state in", report["stateDirectory"]


def _systems(report: dict[str, Any]) -> str:
    """Where there is more than its own, with what runs the others' programs."""
    if len(report["systems"]) < 2:
        return ""
    by = report["emulators"]
    return ", ".join(f"{name} ({by[name]})" if name in by else name for name in report["systems"])


def cores(count: int) -> str:
    return counted(count, "core") if count else ""


def runs_on(report: dict[str, Any]) -> str:
    accelerator = f" ({report['accelerator']})" if report["accelerator"] else ""
    return f"{report['driver']}{accelerator}" if report["driver"] not in ("", "auto") else ""


def _memory(memory: dict[str, Any] | None) -> str:
    if not memory:
        return ""
    parts = [format_size(memory["configured"])]
    if memory["resident"] is not None:
        parts.append(f"{format_size(memory['resident'])} taken from the host")
    if memory["guestFree"] is not None:
        parts.append(f"{format_size(memory['guestFree'])} free in the guest")
    return ", ".join(parts)


def _disk(disk: dict[str, Any] | None, now: float) -> str:
    if not disk:
        return ""
    taken = f"{format_size(disk['virtual'])}, {format_size(disk['allocated'])} taken from the host"
    if disk["used"] is None:
        return taken
    since = now - (disk.get("usedAt") or now)
    when = f" {format_duration(since)} ago" if since >= RECENT else ""
    return f"{taken}, {format_size(disk['used'])} used in the guest{when}"


def _connections(report: dict[str, Any]) -> str:
    waiting = f", {report['held']} waiting" if report["held"] else ""
    if not report["connections"]:
        return waiting
    return f", {counted(report['connections'], 'connection')}{waiting}"


def _since(report: dict[str, Any], now: float) -> str:
    if not report["running"] or report["startedAt"] is None:
        return ""
    took = f", ready in {report['readyAt'] - report['startedAt']:.1f} s" if report["readyAt"] else ""
    return f"{format_duration(max(0.0, now - report['startedAt']))}{took}"


def _idle(idle: dict[str, Any] | None) -> str:
    if not idle or not idle["timeout"]:
        return ""
    when = f" in {format_duration(idle['remaining'])}" if idle["remaining"] is not None else ""
    why = f" (not {idle['wanted']}: {idle['reason']})" if idle["reason"] else ""
    return f"{idle['action']} after {format_duration(idle['timeout'])} unused{',' if when else ''}{when}{why}"


def _failure(failure: dict[str, Any] | None) -> list[str]:
    if not failure:
        return []
    lines = [f"  ! {failure['message']}"] + ([f"    {failure['hint']}"] if failure["hint"] else [])
    return lines + [f"    | {line}" for line in failure["console"]]
