"""`snowshed destroy`"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from ..errors import UserError
from ..paths import BuilderPaths
from ..state import is_builder, kept_from_starting
from ..units import format_size
from .options import Invocation, common
from .render import note
from .stop import stop
from .talk import unknown


@click.command("destroy", short_help="Delete the builder: disk, keys, logs.")
@common
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(invocation: Invocation, yes: bool) -> int:
    """Delete the builder: disk, keys, logs, everything but its configuration file. Images stay.

    \b
    snowshed destroy
    snowshed destroy -b arm --yes                   without being asked
    """
    paths = invocation.paths
    if not paths.state.exists():
        error = unknown(paths)
        hint = f" {error.hint}" if error is not None and error.hint.startswith("Did") else ""
        note(f"There is no builder called {paths.name} ({paths.state} does not exist).{hint}")
        return 0
    if not is_builder(paths.state):
        raise UserError(
            f"{paths.state} does not look like the state directory of a builder, so nothing is deleted.",
            "Check --state-dir and the builder's name; `snowshed list` shows all builders.",
        )
    if not yes and not _agreed(paths):
        note("Nothing was deleted.")
        return 1
    stop(paths, force=True, how=invocation.how)
    remove(paths)
    note(f"The builder {paths.name} is deleted.")
    return 0


def remove(paths: BuilderPaths) -> None:
    """Delete the state of a builder that does not run. Raises `UserError` if it does."""
    with kept_from_starting(paths):
        if paths.runtime != paths.state:
            shutil.rmtree(paths.runtime, ignore_errors=True)
        shutil.rmtree(paths.state)


def _agreed(paths: BuilderPaths) -> bool:
    if not sys.stdin.isatty():
        raise UserError("This deletes a builder, and nobody is there to be asked.", "Say it with --yes.")
    note(f"This deletes the builder {paths.name}: its Nix store, keys and logs in")
    note(f"  {paths.state} ({format_size(_allocated(paths.state))})")
    if paths.config.exists():
        note(f"Its configuration stays: {paths.config}")
    return click.confirm("Delete it?", err=True)


def _allocated(folder: Path) -> int:
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*"))
