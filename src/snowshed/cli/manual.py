"""The manual page, made from the commands themselves, in man(7)'s macros."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import Any

import click

from .. import __version__
from .options import common, settings
from .verbs import VERBS, snowshed

HEAD = r""".TH SNOWSHED 1 "" "snowshed {version}" "snowshed"
.SH NAME
snowshed \- keep a Linux machine ready for Nix
.SH SYNOPSIS
.B snowshed
.I VERB
.RI [ ARGS ].\|.\|.
.SH DESCRIPTION
snowshed keeps a small Linux virtual machine, a
.IR builder ,
ready for Nix: it boots it, hands it to Nix as a remote builder, puts it to sleep when nobody needs it, and has it
awake again before Nix notices.
.PP
Each builder has a name,
.B default
unless
.B \-b
says otherwise, with a disk, keys and a port of its own.
.SS Options of every verb
"""

TAIL = r""".SH FILES
.TP
.I ~/.config/snowshed/NAME.toml
The builder's settings;
.B snowshed config show
prints them all.
.TP
.I ~/.local/share/snowshed/NAME/
The builder: its disk, keys and logs.
.TP
.I ~/.cache/snowshed/
Images, and the packages that they are made of.
.TP
.IR /etc/snowshed/ ", " /var/lib/snowshed/
The same for builders of the system.
.SH ENVIRONMENT
.TP
.B SNOWSHED_STATE_DIR
A state directory, as
.B \-\-state\-dir
says it.
.TP
.BR SNOWSHED_CORES ", " SNOWSHED_MEMORY ", .\|.\|."
Settings, by their names in capitals. They win over the file, the command line wins over them.
.TP
.B NO_COLOR
No colours.
.SH EXIT STATUS
.TP
.B 0
Done;
.B stop
of a stopped builder included.
.TP
.B 1
The guest, the hypervisor or a program that was called failed.
.TP
.B 2
The command line, the configuration or the host needs your attention.
.TP
.B 3
The builder is not running.
.TP
.B 70
A mistake in snowshed;
.B \-\-debug
shows the traceback.
.TP
.B 130
Ctrl-C.
.PP
.B snowshed ssh
ends with the status of the remote command.
.SH SEE ALSO
.BR nix (1),
.BR nix.conf (5),
.BR ssh (1),
.BR qemu (1)
"""


@click.command("man", short_help="The manual page.")
@common
def command() -> int:
    """The manual page, in the pager; where its output is no terminal, its source.

    \b
    snowshed man
    snowshed man > snowshed.1
    """
    from .reading import read

    return read(page())


def page() -> str:
    """The whole page."""
    context = click.Context(snowshed, info_name="snowshed")
    parts = [HEAD.format(version=__version__), *_options(_of(common)), ".SH VERBS\n"]
    for name in VERBS:
        verb = snowshed.get_command(context, name)
        assert verb is not None
        parts += _verb(verb, f"snowshed {name}", context)
    parts.append(".SH SETTINGS\nThese say what a builder is to be.\n")
    return "".join([*parts, *_options(_of(settings)), TAIL])


def _verb(verb: click.Command, words: str, above: click.Context) -> Iterator[str]:
    context = click.Context(verb, info_name=words.split()[-1], parent=above)
    usage = " ".join(verb.collect_usage_pieces(context))
    yield f".SS {escaped(words)}\n"
    yield f".B {escaped(words)}\n{escaped(usage)}\n"
    yield from _text(cleandoc(verb.help or ""))
    elsewhere = {option.name for option in _of(common)}
    given = {option.name for option in _of(settings)}
    if given <= {parameter.name for parameter in verb.params}:
        elsewhere |= given
        yield ".PP\nTakes settings, see\n.BR SETTINGS .\n"
    yield from _options(p for p in verb.params if isinstance(p, click.Option) and p.name not in elsewhere)
    if isinstance(verb, click.Group):
        for name in verb.list_commands(context):
            inner = verb.get_command(context, name)
            assert inner is not None
            yield from _verb(inner, f"{words} {name}", context)


def _text(text: str) -> Iterator[str]:
    """Paragraphs; those that click leaves as they are (after a ``\\b``) are examples."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            lines = "\n".join(map(escaped, paragraph.splitlines()[1:]))
            yield f".sp\n.RS 4\n.nf\n{lines}\n.fi\n.RE\n"
        else:
            yield f".PP\n{escaped(' '.join(paragraph.split()))}\n"


def _options(options: Any) -> Iterator[str]:
    context = click.Context(snowshed)
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            names, says = record
            yield f".TP\n.B {escaped(names)}\n{escaped(says)}\n"


def _of(decorator: Callable[[Any], Any]) -> list[click.Option]:
    """The options that a decorator adds."""

    def none() -> None:
        """Nothing."""

    return [option for option in click.command(decorator(none)).params if isinstance(option, click.Option)]


def escaped(text: str) -> str:
    """`text` as roff prints it: backslashes, dashes that are typed, and lines that would be taken for requests."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"(?m)^([.'])", r"\\&\1", text)
    return text.replace("`", "\\(ga").replace("~", "\\(ti").replace("^", "\\(ha").replace('"', "\\(dq")
