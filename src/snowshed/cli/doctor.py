"""`snowshed doctor`"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from .. import process
from ..doctor import look as looks
from ..doctor.check import EXIT_STATUS, Finding, Level, examine, worst
from ..doctor.check import only as select
from ..doctor.look import Case, Live, Look, Record, Recorded, Recording
from ..doctor.table import TABLE
from ..errors import SnowshedError, UserError
from . import root_nix
from .options import Invocation, NewFile, common, config_file
from .program import callable_by_root
from .render import note, out, paint

MARKS = {
    Level.FINE: ("✓", "32"),
    Level.SKIPPED: ("-", "2"),
    Level.NOTE: ("-", "2"),
    Level.WARNING: ("!", "33"),
    Level.FATAL: ("✗", "31"),
}


@click.command("doctor", short_help="What is wrong here, and what to do about it.")
@common
@config_file
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Only what is wrong.")
@click.option("--fix", is_flag=True, help="Do what the findings propose, each announced and asked about.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--only", metavar="CHECK", multiple=True, help="Make this check alone, by the id that --json shows.")
@click.option(
    "--record",
    metavar="FILE",
    type=NewFile(),
    help="Write down all that was looked at.",
)
@click.option("--replay", metavar="FILE", type=click.Path(path_type=Path), help="Judge what --record wrote.")
@click.pass_obj
def command(
    invocation: Invocation,
    as_json: bool,
    quiet: bool,
    fix: bool,
    yes: bool,
    only: tuple[str, ...],
    record: Path | None,
    replay: Path | None,
) -> int:
    """What is wrong here, and what to do about it: the host, its Nix, and the builder, stage by stage.

    Nothing is changed, and a builder that sleeps is left asleep. The exit status is 0 when all is well, 1 when
    something deserves attention, and 2 when builds fail until it is mended.

    \b
    snowshed doctor                     everything
    sudo snowshed doctor                and what only root may see (its ssh configuration, macOS's background items)
    snowshed doctor --fix               mend what can be mended, one by one
    snowshed doctor --record FILE       for a bug report: all that was looked at, no secrets, names and paths included
    """
    look: Look = Recorded(_recorded(replay)) if replay else Recording(Live(_case(invocation)))
    findings = _show(examine(select(TABLE, only) if only else TABLE, look), as_json=as_json, quiet=quiet)
    if record and isinstance(look, Recording):
        _keep(look.record, record)
    if as_json:
        out(json.dumps(_object(findings), indent=2, ensure_ascii=False))
    else:
        note(_summary(findings))
    if fix and not replay:
        _mend(findings, yes=yes)
    return EXIT_STATUS[worst(findings)]


def _case(invocation: Invocation) -> Case:
    paths = root_nix.meant(invocation.paths)
    common: dict[str, Any] = {
        "platform": sys.platform,
        "uid": os.getuid(),
        "home": str(Path.home()),
        "builder": paths.name,
        "state": str(paths.state),
        "config_file": str(paths.config),
    }
    try:
        return Case(**common, config=root_nix.configuration(invocation, paths))
    except SnowshedError as error:
        return Case(**common, complaint=error.message, hint=error.hint)


def _keep(record: Record, file: Path) -> None:
    try:
        looks.write(record, file)
    except OSError as error:
        what = f"What was looked at cannot be written to {file}: {error.strerror}."
        raise UserError(what, "Choose another place after --record.") from error
    note(f"What was looked at is in {file}.")


def _recorded(file: Path) -> Record:
    try:
        return looks.load(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", "Check the path after --replay.") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{file} is no recording: {error}.", "`snowshed doctor --record FILE` writes one.") from error


def _show(findings: Iterable[Finding], *, as_json: bool, quiet: bool) -> list[Finding]:
    """Print each finding as it comes, with its subject above the first."""
    seen: list[Finding] = []
    subject = ""
    for finding in findings:
        seen.append(finding)
        if as_json or finding.level is Level.SKIPPED or (quiet and finding.level in (Level.FINE, Level.NOTE)):
            continue
        if finding.subject != subject:
            subject = finding.subject
            out(paint(subject, "1", sys.stdout))
        out(text_of(finding))
        sys.stdout.flush()
    return seen


def text_of(finding: Finding) -> str:
    """A finding for people: a mark, what was looked at, what came of it; and what to do, on a line of its own."""
    mark, colour = MARKS[finding.level]
    line = f"  {paint(mark, colour, sys.stdout)} {finding.title}: {finding.detail}"
    return f"{line}\n      {paint('→', colour, sys.stdout)} {finding.hint}" if finding.hint else line


def _summary(findings: list[Finding]) -> str:
    skipped = sum(finding.level is Level.SKIPPED for finding in findings)
    more = f" {skipped} more were not made because of these." if skipped else ""
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    wrong = []
    if number := counts[Level.FATAL]:
        wrong.append(f"{number} to be mended before anything is built")
    if number := counts[Level.WARNING]:
        wrong.append(f"{number} worth attention")
    if not wrong:
        return f"All is well: {len(findings)} checks."
    fixable = sum(finding.fix is not None for finding in findings)
    how = f" `snowshed doctor --fix` offers to mend {fixable} of them." if fixable else ""
    return f"{len(findings) - skipped} checks: {', '.join(wrong)}.{more}{how}"


def _object(findings: list[Finding]) -> dict[str, Any]:
    return {"worst": worst(findings), "findings": [msgspec.to_builtins(finding) for finding in findings]}


def _mend(findings: list[Finding], *, yes: bool) -> None:
    """Run the commands of each fix after saying what they are; each only once, whoever proposed it."""
    done: set[tuple[tuple[str, ...], ...]] = set()
    for finding in findings:
        fix = finding.fix
        if fix is None or fix.commands in done:
            continue
        done.add(fix.commands)
        note(f"\n{finding.title}: {fix.says}, by")
        commands = [callable_by_root(argv) for argv in fix.commands]
        for argv in commands:
            note(f"  {process.pasteable(argv)}")
        if not yes and not click.confirm("Do it?", err=True):
            continue
        for argv in commands:
            if (status := process.status_of(argv)) != 0:
                raise UserError(f"{process.pasteable(argv)} ended with status {status}.", "Nothing more was done.")
