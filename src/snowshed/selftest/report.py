"""The report that people paste into an issue: Markdown, without anything that is theirs alone. Pure but for `facts`."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import __version__
from ..process import attempt
from .bench import Result

MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}


def facts() -> dict[str, str]:
    """The host, as far as a reader has to know it."""
    found = {
        "snowshed": __version__,
        "system": f"{platform.system()} {platform.mac_ver()[0] or platform.release()} {platform.machine()}",
        "python": f"{platform.python_version()} {sysconfig.get_config_var('PYTHONFRAMEWORK') or 'no framework build'}",
    }
    if sys.platform == "darwin":
        found["build"] = attempt(["sysctl", "-n", "kern.osversion"]).out.strip()
        found["chip"] = attempt(["sysctl", "-n", "machdep.cpu.brand_string"]).out.strip()
        for program in ("vfkit", "krunkit"):
            said = attempt([program, "--version"])
            found[program] = said.out.strip() if said.status == 0 else "not installed"
    return found


def render(results: Sequence[Result], about: Mapping[str, str], *, home: Path) -> str:
    """The report. Paths in `home` are shortened."""
    lines = ["### snowshed selftest", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "| | step | seconds | what was seen |", "|---|---|---|---|"]
    for result in results:
        detail = result.detail.replace("|", "\\|").replace("\n", " ").replace(str(home), "~")
        lines.append(f"| {MARKS[result.outcome]} | {result.title} | {result.seconds:.1f} | {detail} |")
    count = {outcome: sum(result.outcome == outcome for result in results) for outcome in MARKS}
    lines += ["", f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped."]
    return "\n".join(lines)
