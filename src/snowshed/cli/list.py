"""`snowshed list`"""

from __future__ import annotations

from typing import Any

import click

from ..errors import SnowshedError
from ..paths import find_builder
from ..units import format_size
from .known import known_builders, side_by_side
from .options import common
from .render import note, out, table
from .report import gather


@click.command("list", short_help="All builders.")
@common
@click.option("--json", "as_json", is_flag=True, help="As JSON: a list of what `status --json` says.")
def command(as_json: bool) -> int:
    """All builders: those that have state, and those that only have a configuration yet.

    \b
    snowshed list
    snowshed list --json | jq -r '.[].name'
    """
    reports = side_by_side(_report, known_builders())
    if as_json:
        import json

        out(json.dumps(reports, indent=2))
    elif reports:
        out(table([("NAME", "STATE", "SYSTEM", "PORT", "CORES", "DISK"), *map(_row, reports)]))
    else:
        note("There is no builder yet; `snowshed start` makes one.")
    return 0


def _report(name: str) -> dict[str, Any]:
    paths = find_builder(name)
    try:
        return gather(paths)
    except SnowshedError as error:
        return {"name": name, "running": False, "state": "unknown", "notices": [error.message]}


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    disk = report.get("disk")
    return (
        report["name"],
        report["state"],
        report.get("system") or "-",
        str(report.get("port") or "-"),
        str(report.get("cores") or "-"),
        format_size(disk["allocated"]) if disk else "-",
    )
