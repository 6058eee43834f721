"""A command on a terminal of its own, and what a person would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

PATIENCE = 30.0


class Terminal:
    """Runs `argv` on a new terminal of `columns` by `lines`; `text` is its screen, `bytes` all that came."""

    def __init__(
        self, argv: Sequence[str | Path], environment: Mapping[str, str], *, columns: int = 100, lines: int = 30
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.bytes = b""
        self._master, slave = pty.openpty()
        self._slave = slave
        self._size(columns, lines)
        self._before = termios.tcgetattr(slave)
        given = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            given[name] = ""
        wanted = {**given, **environment}
        self.process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={name: value for name, value in wanted.items() if value},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    @property
    def text(self) -> str:
        """What is on the screen now."""
        return "\n".join(line.rstrip() for line in self._screen.display).strip("\n")

    @property
    def said(self) -> str:
        """All that was ever shown, one after the other, without what moves and colours it."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.bytes.decode(errors="replace"))

    @property
    def colours(self) -> set[str]:
        """All colours that are on the screen now."""
        return {cell.fg for line in self._screen.buffer.values() for cell in line.values()} - {"default"}

    def until(self, so: Callable[[str], Any]) -> str:
        """The screen once `so` says yes to it."""
        deadline = time.monotonic() + PATIENCE
        while not so(self.text):
            assert self._read(deadline), f"waited in vain; the screen:\n{self.text}"
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        """The person pulls at the window's corner."""
        self._screen.resize(lines, columns)
        self._screen.reset()
        self._size(columns, lines)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ended(self) -> int:
        """The exit status, once the command has ended and all it said is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self._read(min(deadline, time.monotonic() + 0.05))
            assert time.monotonic() < deadline, f"it does not end; the screen:\n{self.text}"
        while self._read(time.monotonic() + 0.05):
            pass
        return self.process.returncode

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal was left as it was found: its modes, its cursor, its first screen."""
        shown = self.bytes.rfind(b"\x1b[?25h") >= self.bytes.rfind(b"\x1b[?25l")
        first = self.bytes.rfind(b"\x1b[?1049l") >= self.bytes.rfind(b"\x1b[?1049h")
        return shown and first and termios.tcgetattr(self._slave) == self._before

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.press("\x03")

    def hang_up(self) -> None:
        os.killpg(self.process.pid, signal.SIGHUP)

    def vanish(self) -> None:
        """The window is closed, or the connection lost: nothing can be read or written any more."""
        os.close(self._slave)
        os.close(self._master)
        self._master, self._slave = os.openpty()

    def _size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, deadline: float) -> bool:
        """Put on the screen what comes until `deadline`; whether anything did."""
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        data = os.read(self._master, 1 << 16)
        self.bytes += data
        self._stream.feed(data)
        return True
