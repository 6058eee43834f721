"""A check: a row of a table that says what is looked at, what it means when it is wrong, and what to do then.

The probe of a row looks through a `Look` and returns a `Verdict`; it decides from what it saw and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum

import msgspec

from ..errors import SnowshedError, UserError
from .look import Look, Unseen


class Level(StrEnum):
    """How bad a finding is, from the best to the worst."""

    FINE = "fine"
    SKIPPED = "skipped"
    """Not looked at, because of something else that is wrong."""
    NOTE = "note"
    """Nothing is wrong; worth knowing."""
    WARNING = "warning"
    FATAL = "fatal"
    """Builds fail until that is changed."""


EXIT_STATUS = {Level.FINE: 0, Level.SKIPPED: 0, Level.NOTE: 0, Level.WARNING: 1, Level.FATAL: 2}


class Fix(msgspec.Struct, frozen=True):
    """What `doctor --fix` does about a finding: a sentence, and the commands that it runs, in order."""

    says: str
    commands: tuple[tuple[str, ...], ...]


class Verdict(msgspec.Struct, frozen=True):
    """What a probe decided. `level` None: as the row of the table says. An empty `hint`: the row's own."""

    wrong: bool
    detail: str
    hint: str = ""
    level: Level | None = None
    fix: Fix | None = None
    blocks: bool = False
    """Checks that come after this one make no sense, though nothing is wrong."""


def fine(detail: str) -> Verdict:
    return Verdict(False, detail)


def note(detail: str, hint: str = "", *, blocks: bool = False) -> Verdict:
    """Something to know; nothing is wrong."""
    return Verdict(False, detail, hint, Level.NOTE, blocks=blocks)


def wrong(detail: str, hint: str = "", *, level: Level | None = None, fix: Fix | None = None) -> Verdict:
    return Verdict(True, detail, hint, level, fix)


Probe = Callable[[Look], Verdict]


class Check(msgspec.Struct, frozen=True):
    """One row. `after` names a check that must not be wrong for this one to make sense; `platform` "" is any."""

    id: str
    title: str
    probe: Probe
    hint: str = ""
    fatal: bool = False
    after: str = ""
    platform: str = ""


class Finding(msgspec.Struct, frozen=True):
    """What came of a check."""

    subject: str
    id: str
    title: str
    level: Level
    detail: str
    hint: str = ""
    fix: Fix | None = None


Table = tuple[tuple[str, tuple[Check, ...]], ...]
"""Subjects, each with its checks, in the order in which they are made."""


def examine(table: Table, look: Look) -> Iterator[Finding]:
    """Make every check that fits the platform, one after the other. Never raises: a check that fails says so."""
    obstacles: dict[str, str] = {}  # by check: the title of what has to be mended before those after it make sense
    for subject, checks in table:
        for check in checks:
            if check.platform not in ("", look.case.platform):
                continue
            if obstacle := obstacles.get(check.after):
                obstacles[check.id] = obstacle
                yield _skipped(subject, check, obstacle)
                continue
            verdict = _ask(check, look)
            if verdict.wrong or verdict.blocks:
                obstacles[check.id] = check.title
            yield _finding(subject, check, verdict)


def only(table: Table, wanted: Iterable[str]) -> Table:
    """The checks called `wanted`, and those that they come after. Raises `UserError` for a name that none has."""
    rows = {check.id: check for _, checks in table for check in checks}
    keep: set[str] = set()
    for name in wanted:
        if name not in rows:
            near = get_close_matches(name, rows, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Checks: {', '.join(rows)}."
            raise UserError(f"There is no check called {name!r}.", hint)
        while name:
            keep.add(name)
            name = rows[name].after
    return tuple((subject, tuple(check for check in checks if check.id in keep)) for subject, checks in table)


def worst(findings: Iterable[Finding]) -> Level:
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.FINE)


def _skipped(subject: str, check: Check, because: str) -> Finding:
    return Finding(subject, check.id, check.title, Level.SKIPPED, f"not looked at, because of “{because}”")


def _finding(subject: str, check: Check, verdict: Verdict) -> Finding:
    level = verdict.level or (_wrongness(check) if verdict.wrong else Level.FINE)
    hint = verdict.hint or (check.hint if verdict.wrong else "")
    return Finding(subject, check.id, check.title, level, verdict.detail, hint, verdict.fix)


def _wrongness(check: Check) -> Level:
    return Level.FATAL if check.fatal else Level.WARNING


def _ask(check: Check, look: Look) -> Verdict:
    try:
        return check.probe(look)
    except Unseen as error:
        return note(f"not recorded: {error}")
    except SnowshedError as error:
        return wrong(error.message.rstrip("."), error.hint)
    except Exception as error:
        return wrong(f"this check is broken: {type(error).__name__}: {error}", "Please report it.", level=Level.WARNING)
