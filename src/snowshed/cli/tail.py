"""What comes to a file of a builder: `tail` follows it through its rotations, and nobody hears what it says of them."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .. import process
from ..errors import GuestError
from ..paths import BuilderPaths
from .render import note

LOOK_EVERY = 1.0
"""Seconds of silence after which it is looked for the builder and for whoever reads: where either goes, no event tells
so everywhere."""

STDOUT = 1


def program() -> str:
    """Where `tail` is. Raises `UserError`."""
    return process.find("tail", "It is part of coreutils.")


def following(paths: BuilderPaths, file: Path, *options: str) -> Iterator[bytes]:
    """The end of `file` by the `options` of `tail`, and what comes to it from now on, in pieces of any length.

    Ends with a sentence when the builder is deleted, and where nobody reads our standard output any more. A builder
    that is not there yet is waited for. Raises `OSError` for a file that may not be read.
    """
    with suppress(FileNotFoundError):
        file.open("rb").close()
    with process.output([program(), *options, "-F", str(file)]) as coming:
        was_there = paths.state.exists()
        while not _is_left():
            data = coming(LOOK_EVERY)
            if data:
                yield data
            elif data is not None:
                raise GuestError(f"`tail`, which followed {file}, has ended.", "Try again.")
            elif not paths.state.exists() and was_there:
                note(f"The builder {paths.name} was deleted.")
                return
            else:
                was_there = was_there or paths.state.exists()


def _is_left() -> bool:
    """Whether whoever read our standard output from a pipe has gone."""
    poll = select.poll()
    poll.register(STDOUT, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
