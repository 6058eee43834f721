"""`snowshed restart`"""

from __future__ import annotations

from typing import Any

import click

from ..errors import UserError
from .options import Invocation, common, layer, settings, waiting
from .remember import last_options
from .report import gather
from .start import settled, start
from .stop import stop
from .talk import unknown


@click.command("restart", short_help="Stop the builder and start it again.")
@common
@settings
@click.option("--force", is_flag=True, help="Also while something is using it.")
@waiting
@click.pass_obj
def command(invocation: Invocation, /, force: bool, **given: Any) -> int:
    """Stop the builder and start it again, as it was started last, with the options given here changed.

    A builder that is in use is left alone, unless with --force.

    \b
    snowshed restart
    snowshed restart --memory 12GiB                 as before, but for its memory
    """
    paths = invocation.paths
    if (error := unknown(paths)) is not None:
        raise error
    options = {**last_options(paths), **layer(given)}
    settled(invocation, options)
    report = gather(paths)
    if report["connections"] and not force:
        raise UserError(
            f"The builder {paths.name} is in use: {', '.join(report['leases']) or report['connections']}.",
            "Wait until it is not, or use `snowshed restart --force`.",
        )
    stop(paths, how=invocation.how)
    return start(invocation, options)
