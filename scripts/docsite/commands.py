"""The command reference, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from snowshed.cli.options import common, config_file, settings
from snowshed.cli.verbs import VERBS, snowshed

HEAD = """# Every command

Made from the program when this page is built: it is what `snowshed VERB --help` says.

`-b NAME`, `--state-dir DIR` and `--debug` fit every command and stand under [For every command](#for-every-command).
The settings that `start`, `run`, `restart` and `service install` take stand under [Settings](#settings). The
[exit status](#exit-status) is explained at the end. `snowshed --version` prints the version.
"""

TAIL = """## Exit status

| status | meaning |
|---|---|
| 0 | done; `stop` of a stopped builder included |
| 1 | the guest, the hypervisor or a program that was called failed |
| 2 | the command line, the configuration or the host needs your attention |
| 3 | the builder is not running |
| 70 | a mistake in snowshed; `--debug` shows the traceback |
| 130 | Ctrl-C |

`snowshed ssh` ends with the status of the remote command; 255 is OpenSSH's own failure. `snowshed doctor` ends with
0 when nothing is wrong, 1 for warnings, 2 when builds fail.
"""


def page() -> str:
    """All verbs in the order of `snowshed --help`."""
    context = click.Context(snowshed, info_name="snowshed")
    parts = [HEAD]
    for name in VERBS:
        command = snowshed.get_command(context, name)
        assert command is not None
        parts += _sections(command, f"snowshed {name}", context, "##")
    parts.append("## For every command\n\n" + _options(_of(common), set()))
    parts.append("## Settings\n\nEach is also an option of the [configuration file](settings.md).\n\n")
    parts[-1] += _options(_of(settings, config_file), set())
    return "\n".join([*parts, TAIL])


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it, groups too."""

    def below(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=words)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None and not inner.hidden:
                    yield from below(inner, f"{words} {name}")

    yield from below(snowshed, "snowshed")


def _sections(command: click.Command, words: str, parent: click.Context, level: str) -> Iterator[str]:
    context = click.Context(command, info_name=words, parent=None)
    yield f"{level} {words}\n"
    yield _help(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{words} {usage}\n```\n"
    ours = {option for decorated in (common, settings, config_file) for option in _names(_of(decorated))}
    if text := _options(command.params, ours):
        yield text
    takes = _names(_of(settings)) <= _names(command.params)
    if takes:
        yield "And the [settings](#settings).\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _sections(inner, f"{words} {name}", context, "###")


def _of(*decorators: object) -> list[click.Parameter]:
    function = lambda: None  # noqa: E731
    for decorate in decorators:
        function = decorate(function)  # type: ignore[operator]
    return click.command()(function).params


def _names(params: list[click.Parameter]) -> set[str]:
    return {str(param.name) for param in params}


def _options(params: list[click.Parameter], but: set[str]) -> str:
    rows = [_row(param) for param in params if param.name not in but and isinstance(param, click.Option)]
    shown = [row for row in rows if row]
    return "\n".join(["| option | |", "|---|---|", *shown, ""]) if shown else ""


def _row(option: click.Option) -> str:
    record = option.get_help_record(click.Context(click.Command("none")))
    if record is None:
        return ""
    left, right = record
    return f"| `{left}` | {right.replace('|', chr(92) + '|')} |"


def _help(text: str) -> str:
    """Help as Markdown: paragraphs, and what follows a \\b (examples) as it is."""
    parts = []
    for paragraph in cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            lines = "\n".join(line.strip() for line in paragraph.split("\n")[1:])
            parts.append(f"```\n{lines}\n```")
        else:
            parts.append(" ".join(paragraph.split()))
    return "\n\n".join(parts) + "\n"
