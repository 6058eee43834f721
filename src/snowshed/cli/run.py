"""`snowshed run`"""

from __future__ import annotations

import os
from typing import Any

import click

from .. import process
from ..state import prepare
from .images import image_for
from .launch import argv, order
from .options import Invocation, common, layer, settings
from .progress import How, progress
from .start import settled


@click.command("run", short_help="Run the builder in the foreground, for a terminal, systemd or launchd.")
@common
@settings
@click.option("--on-demand/--no-on-demand", default=None, help="Boot nothing until a connection comes.")
@click.pass_obj
def command(invocation: Invocation, /, **given: Any) -> int:
    """Run the builder in the foreground, for a terminal, systemd or launchd.

    It says what it does on standard error, and ends, guest and all, with Ctrl-C or SIGTERM.

    \b
    snowshed run --on-demand                        listen, and boot when a connection comes
    snowshed run --verbose                          with the guest's console
    """
    paths = invocation.paths
    config = settled(invocation, layer(given))
    prepare(paths)
    with progress("Looking for the image", How.VERBOSE) as shown:
        image = image_for(paths, config, shown)
    with order(paths, config, image) as handed:
        descriptor = os.dup(handed.fileno())
    process.replace(argv(paths, descriptor, on_demand=config.on_demand), keep=(descriptor,))
