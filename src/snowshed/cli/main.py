"""The `snowshed` command: which verbs there are, and the one place where errors become words and an exit status.

A verb is imported when it is used; `snowshed --help` reads the table below and imports none. `status --json` is asked
by prompts, menu bars and monitoring, over and over: it does without click and without reading configuration.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import Bug, SnowshedError, UserError

if TYPE_CHECKING:
    from .options import Invocation

INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of this process) and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if not (sys.stdin and sys.stdout and sys.stderr) or not sys.stdout.encoding.lower().startswith("utf"):
        from .streams import mend

        mend()
    debug = "--debug" in words
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except SnowshedError as error:
        _say(error)
        if debug:
            _traceback()
        return error.exit_status
    except KeyboardInterrupt as interrupt:
        if sys.stderr.isatty():  # the ^C that it shows ends no line
            print(file=sys.stderr)
        print(f"snowshed: interrupted{''.join(f'; {text}' for text in interrupt.args)}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; the interpreter must not stumble over it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if (known := _host_refuses(error)) is None:
            return _bug(error, debug)
        _say(known)
        return known.exit_status
    except Exception as error:
        return _bug(error, debug)


def _run(words: list[str]) -> int:
    from .report import quick_status

    if instruction := os.environ.get("_SNOWSHED_COMPLETE"):
        from .completion import answer

        return answer(instruction)
    if (status := quick_status(words)) is not None:
        return status
    return _run_click(words)


def _run_click(words: list[str]) -> int:
    import click

    from .options import Invocation
    from .verbs import snowshed

    invocation: Invocation = Invocation()
    try:  # not `snowshed.main`, which writes an empty line of its own at Ctrl-C
        with snowshed.make_context("snowshed", words, obj=invocation) as context:
            return snowshed.invoke(context) or 0
    except PermissionError as error:
        from .talk import of_another

        if (known := of_another(invocation.paths, words, error)) is None:
            raise
        raise known from error
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, EOFError) as error:
        raise KeyboardInterrupt from error
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # since click 8.2
            print(error.format_message(), file=sys.stderr)
            return UserError.exit_status
        command = error.ctx.command_path if error.ctx else "snowshed"
        hint = getattr(error, "hint", "") or f"`{command} --help` shows what fits."
        raise UserError(error.format_message(), hint) from error
    except click.ClickException as error:
        raise UserError(error.format_message()) from error


def _say(error: SnowshedError) -> None:
    print(f"snowshed: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)


def _host_refuses(error: OSError) -> UserError | None:
    """The user's error behind a refusal of the operating system, or None where it was not the user's to prevent."""
    import errno

    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f" on the disk that holds {error.filename}" if error.filename else ""
        return UserError(f"There is no space left{place}.", "Make room, and try again: nothing half-made is kept.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(f"{error.strerror}{where}.", "Make it accessible to you, or choose another place.")
    if error.filename and error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return UserError(f"{error.strerror}{where}.", "Choose another name, or another place.")
    return None


def _traceback() -> None:
    import traceback

    traceback.print_exc()


def _bug(error: Exception, debug: bool) -> int:
    """Say that we are wrong, and keep the traceback where a report can take it from."""
    import traceback

    if debug:
        traceback.print_exc()
    where = _keep(traceback.format_exc())
    bug = Bug(f"Something went wrong inside snowshed: {type(error).__name__}: {error}", where)
    _say(bug)
    return bug.exit_status


def _keep(text: str) -> str:
    from ..paths import cache_root

    file = cache_root() / "last-bug.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"snowshed {' '.join(sys.argv[1:])}\n\n{text}")
    except OSError:
        return "Please report it with the traceback that --debug shows."
    return f"Please report it with the traceback in {file} (--debug shows it)."
