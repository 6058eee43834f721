"""`snowshed restart`"""

from __future__ import annotations

import json
from typing import Any

import click

from ..config import Value
from ..errors import UserError
from ..paths import BuilderPaths
from .options import Invocation, common, layer, settings
from .report import gather
from .start import settled, start
from .stop import stop


@click.command("restart", short_help="Stop the builder and start it again.")
@common
@settings
@click.option("--force", is_flag=True, help="Also while something is using it.")
@click.pass_obj
def command(invocation: Invocation, /, force: bool, **given: Any) -> int:
    """Stop the builder and start it again, as it was started last, with the options given here changed.

    A builder that is in use is left alone, unless with --force.
    """
    paths = invocation.paths
    options = {**last_options(paths), **layer(given)}
    settled(invocation, options)
    report = gather(paths)
    if report["connections"] and not force:
        raise UserError(
            f"The builder {paths.name} is in use: {', '.join(report['leases']) or report['connections']}.",
            "Wait until it is not, or use `snowshed restart --force`.",
        )
    stop(paths)
    return start(invocation, options)


def last_options(paths: BuilderPaths) -> dict[str, Value]:
    """What the last start was given on its command line."""
    try:
        options = json.loads(paths.last_options.read_text())
    except (OSError, ValueError):
        return {}
    return options if isinstance(options, dict) else {}
