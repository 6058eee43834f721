"""Standard streams that are not as a program expects them: closed ones, and those that cannot show all signs.

A cron job or `snowshed list >&-` begins without one; the next file that is opened, a lock or a disk, would take its
number and be written to as if it were a terminal, here and in every program that we start.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

PLAIN = {"✓": "+", "✗": "x", "→": ">", "…": "...", "▁": "_", "█": "#"}
"""What stands for our signs where the terminal's encoding has none of them."""

_HANDLER = "snowshed"


def mend() -> None:
    """Put /dev/null in the place of streams that are closed, and let the others replace what they cannot show."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _nothing(number))
    codecs.register_error(_HANDLER, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=_HANDLER)


def _nothing(number: int) -> TextIO:
    descriptor = os.open(os.devnull, os.O_RDWR)
    if descriptor == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(descriptor, number)
        os.close(descriptor)
    return open(number, "r" if number == 0 else "w", closefd=False)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
