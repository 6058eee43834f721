"""`snowshed status`"""

from __future__ import annotations

import click

from . import report
from .options import Invocation, common
from .render import out, status


@click.command("status", short_help="What the builder is doing.")
@common
@click.option("--json", "as_json", is_flag=True, help="As JSON, with everything there is to know.")
@click.option("-w", "--watch", is_flag=True, help="As it changes, until q or Ctrl-C: `snowshed top` of this builder.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool, watch: bool) -> int:
    """What the builder is doing.

    The exit status is 0 while the guest runs, and 3 while it does not.

    \b
    snowshed status
    snowshed status -b arm --watch
    snowshed status --json | jq .memory
    """
    if watch:
        from .top import show

        return show(lambda: [invocation.paths], as_json=as_json)
    found = report.gather(invocation.paths)
    if as_json:
        return report.print_json(found)
    report.note_version(found["version"])
    out(status(found))
    return report.exit_status(found)
