"""`snowshed completion`, and what a shell asks when somebody presses Tab (click's protocol)."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from ..errors import UserError
from .options import common
from .render import out

ASKED = "_SNOWSHED_COMPLETE"
"""The variable by which a shell asks for completions: ``bash_complete`` and the like."""

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Completion of words for your shell.")
@common
@click.argument("shell", required=False, type=click.Choice(SHELLS))
def command(shell: str | None) -> int:
    """Completion of words for your shell (bash 4.4 or newer, zsh, fish): verbs, options, builders, images, systems.

    Without SHELL it is for the one that you use ($SHELL). This goes into its start-up file:

    \b
    eval "$(snowshed completion bash)"              ~/.bashrc
    eval "$(snowshed completion zsh)"               ~/.zshrc, after compinit
    snowshed completion fish | source               ~/.config/fish/config.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UserError(f"There is no completion for the shell {name or '(none is set)'!r}.", f"Say {_or(SHELLS)}.")
    out(_for(name).source_template.strip() % _for(name).source_vars())
    return 0


def answer(instruction: str) -> int:
    """Answer a shell that asks with `instruction`, and return the exit status."""
    shell, _, what = instruction.partition("_")
    if what != "complete" or shell not in SHELLS:
        return 1
    click.echo(_for(shell).complete())
    return 0


def _for(shell: str) -> ShellComplete:
    from .verbs import snowshed

    cls = get_completion_class(shell)
    assert cls is not None
    return cls(snowshed, {}, "snowshed", ASKED)


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
