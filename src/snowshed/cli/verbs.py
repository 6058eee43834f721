"""The verbs by name, with a line about each, and the group that imports a verb when it is used."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

import click

from .. import __version__
from .options import common

VERBS = {
    "start": "Start the builder and return when Nix can build on it.",
    "run": "Run the builder in the foreground, for a terminal, systemd or launchd.",
    "status": "What the builder is doing.",
    "list": "All builders.",
    "top": "What all builders are doing, as it changes.",
    "ssh": "A shell in the guest, or a command there.",
    "machines": "The line by which Nix knows the builder.",
    "metrics": "Figures for Prometheus.",
    "logs": "What the builder and its guest said.",
    "events": "What happened, as it happens.",
    "suspend": "Put the builder to sleep on disk; its memory goes back to the host.",
    "pause": "Stop the guest's processors and keep its memory.",
    "resume": "Wake the builder.",
    "restart": "Stop the builder and start it again.",
    "stop": "Shut the guest down and end the builder.",
    "gc": "Collect garbage in the guest's store and give freed space back.",
    "destroy": "Delete the builder: disk, keys, logs.",
    "service": "Have systemd or launchd keep the builder's port, and start it on demand.",
    "doctor": "What is wrong here, and what to do about it.",
    "selftest": "Try on this host what could not be tried anywhere else.",
    "image": "Make, list and delete what guests boot from.",
    "config": "Show and check the configuration.",
    "completion": "Completion of words for your shell.",
    "man": "The manual page.",
}
"""In the order of `snowshed --help`. A verb is `command` in the module of its name, unless `_ELSEWHERE`."""

_ELSEWHERE = {
    "man": "manual:command",
    "suspend": "sleep:suspend",
    "pause": "sleep:pause",
    "resume": "sleep:resume",
}


class Group(click.Group):
    """A group that says which of its verbs may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verbs = self.list_commands(ctx)
        if args and args[0] not in verbs and not args[0].startswith("-"):
            error = click.UsageError(f"There is no verb {args[0]!r}.", ctx)
            begun = [verb for verb in verbs if verb.startswith(args[0])]
            near = begun or get_close_matches(args[0], verbs, 1)
            error.hint = f"Did you mean `{ctx.command_path} {near[0]}`?" if near else ""  # type: ignore[attr-defined]
            raise error
        return super().resolve_command(ctx, args)


class Verbs(Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, attribute = _ELSEWHERE.get(cmd_name, f"{cmd_name}:command").partition(":")
        return cast(click.Command, getattr(import_module(f".{module}", __package__), attribute))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The verbs with what they do, and no verb imported for it."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in VERBS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _version(context: click.Context, _: click.Parameter, value: Any) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"snowshed {__version__}")
        context.exit()


@click.group(
    cls=Verbs,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@common
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def snowshed() -> None:
    """Keep a Linux machine ready for Nix.

    \b
    snowshed start              make one, and wait until Nix can build on it
    snowshed machines           the line by which Nix finds it
    snowshed status             what it is doing
    """
