"""`snowshed ssh`"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from .. import process
from ..control.client import Control
from ..errors import NotRunning, UserError
from ..paths import BuilderPaths
from ..ssh.config import alias
from ..ssh.keys import ensure_keys, write_ssh_config
from .options import Invocation, common
from .progress import progress
from .render import moves
from .start import START_SILENCE
from .talk import explain, private


@click.command(
    "ssh",
    short_help="A shell in the guest, or a command there.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@common
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@click.pass_obj
def command(invocation: Invocation, arguments: tuple[str, ...]) -> int:
    """A shell in the guest, or a command there.

    ARGS are ssh's own: options, then a command. The exit status is the remote command's. A builder that is asleep
    wakes.

    \b
    snowshed ssh                                    a shell
    snowshed ssh uname -a
    snowshed ssh -L 8080:localhost:80 -N            options of ssh go first
    """
    paths = invocation.paths
    program = process.find("ssh", "Install OpenSSH's client programs (Debian: openssh-client).")
    try:
        with Control(paths.control) as control:
            report = control.report()
    except NotRunning as error:
        raise explain(paths, error) from None
    if os.geteuid() not in (0, paths.state.stat().st_uid):
        raise private(paths, "ssh", "The key to its guest is")
    if report["state"] != "running" and moves(sys.stderr):
        _show_waking(paths)
    ensure_keys(paths)
    write_ssh_config(paths, report["port"])
    process.replace([program, "-F", paths.ssh_config, alias(paths.name), *arguments])


def _show_waking(paths: BuilderPaths) -> None:
    """A person sees how the guest wakes. Who may only connect is let in all the same: the connection wakes it too."""
    with suppress(UserError), progress("Waking it") as shown, Control(paths.control) as control:
        control.request("start", each=shown.event, silence=START_SILENCE)
