"""`snowshed logs`"""

from __future__ import annotations

import sys

import click

from .. import process
from ..errors import UserError
from . import tail
from .options import Invocation, common
from .talk import private, unknown


@click.command("logs", short_help="What the builder and its guest said.")
@common
@click.option("--console", is_flag=True, help="The guest's console instead of the supervisor's log.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or `destroy`.")
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), default=100, help="So many lines (100).")
@click.pass_obj
def command(invocation: Invocation, console: bool, follow: bool, lines: int) -> int:
    """What the builder and its guest said, the last lines of it.

    \b
    snowshed logs -f
    snowshed logs --console -n 50                   the guest
    """
    paths = invocation.paths
    if (error := unknown(paths)) is not None:
        raise error
    file = paths.console_log if console else paths.supervisor_log
    try:
        file.open("rb").close()
    except PermissionError:
        raise private(paths, "logs --console" if console else "logs", "Its logs are") from None
    except FileNotFoundError:
        if not follow:
            hint = "It gets one at its first start."
            if paths.is_system and not console:  # what runs it keeps what it says
                hint = f"Its service's: `sudo journalctl -u snowshed-{paths.name}`; on a Mac, /var/log/snowshed."
            raise UserError(f"The builder {paths.name} has no log yet: {file}.", hint) from None
    if not follow:
        process.replace([tail.program(), "-n", str(lines), file])
    for piece in tail.following(paths, file, "-n", str(lines)):
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    return 0
