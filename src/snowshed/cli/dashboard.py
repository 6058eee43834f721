"""What `top` shows: a panel for each builder that is up, a line for each that is not. Fits any width and height.

Only `top` and its pictures import this module, and rich with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..units import counted, format_duration, format_size
from . import render
from .figures import BLOCKS, LETTERS, Figures, graph

STYLES = {"running": "green", "failed": "red", "stopped": "dim", "suspended": "cyan", "paused": "cyan"}
BUILDS_SHOWN = 8
NARROW = 64
"""Columns under which graphs are left out: words come first."""
WIDEST_GRAPH = 60
LABEL = 8


def dashboard(figures: Sequence[Figures], console: Console, *, now: float | None = None) -> RenderableType:
    """All `figures`, for the size that `console` has now."""
    now = time.time() if now is None else now
    up = [each for each in figures if _is_up(each.report)]
    down = [each for each in figures if not _is_up(each.report)]
    marks = BLOCKS if (console.encoding or "").lower().startswith("utf") else LETTERS
    parts: list[RenderableType] = [_heading(figures, now)]
    if not figures:
        parts.append(Text("There is no builder yet; `snowshed start` makes one.", style="dim"))
    panels = [_panel(each, console.width, marks, now) for each in up]
    needed = 1 + sum(_height(each) for each in up) + (len(down) + 2 if down else 0)
    if needed <= console.height or len(figures) <= 1:
        parts += panels
        if down:
            parts.append(_rows(down, console.width))
    else:
        parts.append(_rows([*up, *down], console.width))
    return Group(*parts)


def _is_up(report: dict[str, Any]) -> bool:
    return report["state"] not in ("stopped", "suspended", "unknown", "failed")


def _heading(figures: Sequence[Figures], now: float) -> Text:
    running = sum(1 for each in figures if each.report["running"])
    builds = sum(len(each.builds or ()) for each in figures)
    text = Text("snowshed", style="bold")
    text.append(f"  {counted(len(figures), 'builder')}, {running} running, {counted(builds, 'build')}", style="default")
    text.append(time.strftime("  %H:%M:%S", time.localtime(now)), style="dim")
    text.truncate(200)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _height(figures: Figures) -> int:
    builds = len(figures.builds or ())
    return 2 + 5 + min(builds, BUILDS_SHOWN) + (builds > BUILDS_SHOWN) + len(figures.report["notices"])


def _panel(figures: Figures, width: int, marks: str, now: float) -> Panel:
    report = figures.report
    state = report["state"]
    title = Text.assemble((report["name"], "bold"), " is ", (state, STYLES.get(state, "yellow")))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=LABEL, style="dim", no_wrap=True)
    room = 0 if width < NARROW else min(WIDEST_GRAPH, (width - LABEL - 6) // 2)
    if room:
        grid.add_column(min_width=room, max_width=room, no_wrap=True, style="cyan")
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for label, line, words in _lines(figures, room, marks, now):
        grid.add_row(label, *([line] if room else []), words)
    body = Group(grid, *_builds(figures, width), *(Text(f"! {notice}", style="yellow") for notice in report["notices"]))
    return Panel(
        body, title=title, title_align="left", subtitle=_machine(report), subtitle_align="right", box=box.ROUNDED
    )


def _machine(report: dict[str, Any]) -> Text:
    facts = [report["system"], render.cores(report["cores"]), render.runs_on(report)]
    facts.append(f"127.0.0.1:{report['port']}" if report["port"] else "")
    return Text(", ".join(fact for fact in facts if fact), style="dim", no_wrap=True, overflow="ellipsis")


def _lines(figures: Figures, room: int, marks: str, now: float) -> list[tuple[str, str, str]]:
    report = figures.report
    memory = report["memory"] or {}
    cores = report["cores"] or 1
    used = "" if figures.processor is None else f"{figures.processor:.0%} of {render.cores(cores)}"
    traffic = "" if figures.traffic is None else f", {format_size(round(figures.traffic))}/s"
    held = f", {report['held']} waiting" if report["held"] else ""
    disk = report["disk"] or {"virtual": 0, "allocated": 0, "used": None}
    return [
        ("cpu", graph(figures.processors, room, cores, marks), used or "-"),
        ("memory", graph(figures.memories, room, memory.get("configured") or 0, marks), _memory(memory)),
        ("disk", _bar(disk, room, marks), _disk(disk)),
        (
            "ssh",
            graph(figures.traffics, room, 0, marks),
            f"{counted(report['connections'], 'connection')}{held}{traffic}",
        ),
        ("up", "", _rest(report, now)),
    ]


def _memory(memory: dict[str, Any]) -> str:
    if not memory:
        return "-"
    whole = format_size(memory["configured"])
    taken = whole if memory["resident"] is None else f"{format_size(memory['resident'])} of {whole}"
    return taken if memory["guestFree"] is None else f"{taken}, {format_size(memory['guestFree'])} free in it"


def _bar(disk: dict[str, Any], room: int, marks: str) -> str:
    """The data disk: what the host has given for it, of all it may become."""
    share = disk["allocated"] / disk["virtual"] if disk["virtual"] else 0.0
    full = round(share * room) or (1 if disk["allocated"] and room else 0)
    return marks[-1] * full + marks[0] * (room - full)


def _disk(disk: dict[str, Any]) -> str:
    taken = f"{format_size(disk['allocated'])} of {format_size(disk['virtual'])}"
    return taken if disk["used"] is None else f"{taken}, {format_size(disk['used'])} used in it"


def _rest(report: dict[str, Any], now: float) -> str:
    since = format_duration(max(0.0, now - report["startedAt"])) if report["startedAt"] else "-"
    idle = report["idle"]
    if not idle or not idle["timeout"]:
        return since
    if idle["remaining"] is None:
        return f"{since}; {idle['action']} after {format_duration(idle['timeout'])} unused"
    return f"{since}; {idle['action']} in {format_duration(idle['remaining'])}"


def _builds(figures: Figures, width: int) -> list[RenderableType]:
    builds = figures.builds or []
    if not builds:
        return []
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(min_width=LABEL, style="dim", no_wrap=True)
    table.add_column(style="bold", no_wrap=True, overflow="ellipsis", ratio=1)
    for _ in range(3 if width >= NARROW else 2):
        table.add_column(justify="right", no_wrap=True)
    for number, build in enumerate(builds[:BUILDS_SHOWN]):
        cells = [format_duration(build["seconds"]), render.percent(figures.speed(build))]
        cells += [format_size(build["memory"])] if width >= NARROW else []
        table.add_row("builds" if number == 0 else "", build["name"], *cells)
    more = len(builds) - BUILDS_SHOWN
    return [table, Text(f"{'':{LABEL}} and {more} more", style="dim")] if more > 0 else [table]


def _rows(figures: Sequence[Figures], width: int) -> Table:
    """A line for each builder; where there is little room only what it is, and why."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    table.add_column("BUILDER", style="bold", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    wide = width >= NARROW
    for name in ("CPU", "MEMORY", "DISK", "SSH", "BUILDS") if wide else ():
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=width // 4)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)  # what is left: names and states stay whole
    for each in figures:
        state = Text(each.report["state"], style=STYLES.get(each.report["state"], "yellow"))
        table.add_row(each.name, state, *(_cells(each) if wide else ()), _remark(each.report))
    return table


def _cells(figures: Figures) -> tuple[str, ...]:
    report = figures.report
    resident, disk = (report.get("memory") or {}).get("resident"), report.get("disk")
    return (
        render.percent(figures.processor),
        "-" if resident is None else format_size(resident),
        format_size(disk["allocated"]) if disk else "-",
        str(report.get("connections") or "-"),
        ", ".join(build["name"] for build in figures.builds or ()) or "-",
    )


def _remark(report: dict[str, Any]) -> str:
    if failure := report.get("failure"):
        return str(failure["message"])
    return " ".join(report["notices"])
