"""The guest's console: kept in ``console.log``, shown on request, and read for the stages that the guest announces
and for what it tells of itself.

Programs in a guest ask terminals about themselves (cursor position, device attributes); a log that is shown on a
terminal later would make that terminal answer into the user's shell. Such queries are cut out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from .journal import RotatingFile

_QUERIES = re.compile(
    rb"\x1b\[(?:[0-9;?>=!]*[cn]|[0-9;?]*\$p|>[0-9;]*q|1[48]t|19t|2[01]t|6n)"  # DA, DSR, DECRQM, XTVERSION, size reports
    rb"|\x1b\][0-9;]*\?(?:\x07|\x1b\\)"  # OSC queries: colours
    rb"|\x1bP[+$]q[^\x1b]*\x1b\\"  # DECRQSS, XTGETTCAP
    rb"|\x1bZ|\x05"  # DECID, ENQ
)
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
TAIL = 40
"""Lines kept to be shown when something goes wrong."""


def strip_queries(data: bytes) -> bytes:
    """`data` without the sequences that make a terminal answer."""
    return _QUERIES.sub(b"", data)


def plain(line: bytes) -> str:
    """A console line without escape sequences and control characters."""
    text = _ESCAPES.sub(b"", line).decode(errors="replace")
    return "".join(c for c in text if c.isprintable() or c == "\t").rstrip()


class Console:
    """Takes what the guest's console says, as it comes."""

    def __init__(self, log: Path, marks: Mapping[str, Callable[[str], None]], echo: BinaryIO | None = None) -> None:
        """Each of `marks` names who is called with what follows it on a line; `echo` gets a copy of everything."""
        self._log = RotatingFile(log)
        self._marks = marks
        self._echo = echo
        self._line = b""
        self.tail: deque[str] = deque(maxlen=TAIL)

    def feed(self, data: bytes) -> None:
        """More console output. A line or a sequence may be cut anywhere."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > 4096:
            lines, self._line = [*lines, self._line], b""
        for line in lines:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        safe = strip_queries(line)
        self._log.write(safe + b"\n")
        if self._echo is not None:
            self._echo.write(safe + b"\n")
            self._echo.flush()
        text = plain(safe)
        if text:
            self.tail.append(text)
        for mark, hear in self._marks.items():
            _, found, said = text.partition(mark)
            if found:
                hear(said.strip())

    def close(self) -> None:
        """Write out the last, unfinished line."""
        if self._line:
            self._keep(self._line)
            self._line = b""
        self._log.close()
